// What Annotate says of labels, in words: which are missing, and which came too late. Our own words and numbers only.
(() => {
  const sv = window.stepviz;
  // "Steps 2, 3 and 4", "Steps 1 and 3–41": four and more in a row are a range
  function listed(steps) {
    const runs = [];
    for (const i of steps) runs.length && runs.at(-1).at(-1) === i - 1 ? runs.at(-1).push(i) : runs.push([i]);
    const words = runs.flatMap((r) => (r.length > 3 ? [`${r[0]}–${r.at(-1)}`] : r));
    return `Step${steps.length > 1 ? "s" : ""} ${words.join(", ").replace(/, ([^,]+)$/, " and $1")}`;
  }
  const WORDS = { correct: ["Correct?", "no error is marked", "first error"], solvable: ["Still solvable?", "none is marked as “no”", "first “no”"] };

  // Of each question that is asked: the first step that lacks a rating, and the sentence. After a first error none is missing.
  function missing(questions, n, labels, here) {
    const found = [], steps = Array.from({ length: n }, (_, i) => i + 1);
    for (const q of questions.filter((x) => x in WORDS)) {
      const of = labels[q] ?? {}, wrong = steps.find((i) => of[i] === -1), lacks = steps.filter((i) => of[i] === undefined && !(i > wrong));
      if (!lacks.length) continue;
      const [asks, none, first] = WORDS[q], are = lacks.length > 1 ? "are" : "is";
      found.push({ q, step: lacks[0], text: wrong ? `${asks} ${listed(lacks)}, before the ${first}, ${are} not rated.` : `${asks} ${listed(lacks)} ${are} not rated, and ${none}.` });
    }
    if (questions.includes("decides") && !labels.decides?.[0]) found.push({ q: "decides", step: here, text: "No step is marked as the one that decides the outcome." });
    return found;
  }
  function ask(lacks) {
    const { q, step } = lacks[0], lines = lacks.map(({ text }) => `<p>${text}</p>`).join("");
    return `<div class="dhead" data-name="missing"><h2>Submit as it is?</h2></div><div class="dbody">${lines}</div><div class="dfoot"><button type="button" class="btn" data-act="anyway">Submit as it is</button><button type="button" class="btn pri" data-act="go_to" data-q="${q}" data-step="${step}">Go to step ${step}</button></div>`;
  }
  function told({ kind, body }) {
    if (kind !== "label") return kind === "submit" ? "its submission" : "an undo";
    const said = body.question === "decides" ? "decides" : body.first_error ? "first error" : body.value === null ? "unsure" : { 1: "+1", 0: "0", [-1]: "−1" }[body.value];
    return `step ${body.step}: ${said}`;
  }
  sv.annotateWords = { missing, ask, told };
})();
