// What the page Annotate shows: a study's head, an item with its labels, what is said beside it. It asks nobody anything.
(() => {
  const sv = window.stepviz;
  if (sv.annotated) return;
  const $ = (s) => document.querySelector("#aview " + s), all = (s) => [...document.querySelectorAll("#aview " + s)];
  const h = (tag, attributes = {}, ...inside) => {
    const e = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) if (value !== null && value !== false) e.setAttribute(name, value === true ? "" : value);
    e.append(...inside);
    return e;
  };
  const clock = (s) => `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
  const many = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

  // The head: which study, how far.
  function study(list, id, done = 0, total = 0) {
    const now = list.find((s) => s.id === id), head = $(".vhead");
    head.querySelectorAll(".which, .prog, .skel").forEach((e) => e.remove());
    const name = list.length > 1
      ? h("select", { class: "field which", "aria-label": "Study" }, ...(now ? [] : [h("option", { value: "" }, "Choose a study")]), ...list.map((s) => h("option", { value: s.id, selected: s.id === id }, s.name)))
      : h("h2", { class: "which" }, now?.name ?? "Annotate");
    const share = total ? Math.round(100 * done / total) : 0;
    const bar = h("span", { class: "pbar", "aria-hidden": "true" }, h("i", { style: `width:${share}%` }));
    head.prepend(name, now ? h("span", { class: "prog num", title: "Items that you submitted, of those that are yours" }, bar, h("b", {}, String(done)), ` of ${total}`, h("span", {}, " · yours")) : h("span", { class: "prog" }));
  }

  function item(turn) {
    const tab = $(".tab"), side = $(".side");
    tab.className = "tab";
    tab.removeAttribute("aria-busy");
    tab.innerHTML = turn.html; // escaped by the server (render_annotate)
    const { ask, scored } = tab.querySelector(".sizes").dataset;
    tab.style.setProperty("--ask", ask + "px");
    tab.classList.toggle("s", !!scored);
    for (const [name, value] of Object.entries({ role: "grid", tabindex: "0", "aria-label": "Steps" })) tab.setAttribute(name, value);
    side.hidden = false;
    $(".gtext").innerHTML = turn.guideline_html; // escaped, too
    $(".version").textContent = "version " + turn.guideline.version;
    $(".hints").hidden = false;
    sv.typeset(tab);
    sv.typeset($(".gtext"));
    tab.scrollTop = 0;
  }

  // Labels, notes, and where the reader is. notes: of steps, as { text, kept } (kept: until the step is rated).
  function marks({ labels, notes, i, q, asked, finish, flags, note, busy }) {
    const tab = $(".tab");
    tab.setAttribute("aria-activedescendant", "step-" + i);
    tab.classList.toggle("busy", busy);
    for (const row of all(".row[data-i]")) {
      const on = +row.dataset.i === i;
      row.classList.toggle("on", on);
      row.setAttribute("aria-selected", on);
      const said = notes[row.dataset.i], p = row.querySelector(".said");
      p.hidden = !said?.text;
      p.textContent = said?.text ?? "";
      p.classList.toggle("dim", !!said?.kept);
      p.title = said?.kept ? "Kept here until the step is rated" : "";
    }
    for (const b of all(".row [data-act=rate]")) {
      const { q: of, step, value } = b.dataset;
      const now = of === "decides" ? (labels.decides?.[0] === +step ? "" : null) : labels[of] && step in labels[of] ? String(labels[of][step] ?? "unsure") : null;
      b.setAttribute("aria-checked", now === value);
    }
    for (const e of all(".ask")) e.classList.toggle("here", asked.length > 1 && e.dataset.q === asked[q]);
    for (const e of all("[name=finish]")) e.checked = e.value === finish;
    for (const e of all("[name=flag]")) e.checked = flags.includes(e.value);
    const field = $("[name=note]"), step = $("[name=step_note]");
    if (document.activeElement !== field) field.value = note;
    if (document.activeElement !== step) { step.value = notes[i]?.text ?? ""; step.dataset.step = i; }
    $(".mine .which").textContent = i;
    for (const e of all(".go .btn, .mine :is(input, textarea)")) e.disabled = busy;
  }
  const select = (i) => $(`.row[data-i="${i}"]`)?.scrollIntoView({ block: "nearest" });

  // Saved, saving, or not: always in sight.
  const STATES = { saved: () => "Saved", saving: () => "Saving…", failed: (n, s) => `Not saved: ${many(n, "change")} kept here, next try in ${s} s`, out: (n) => `Signed out: ${many(n, "change")} kept here` };
  function state(now, waiting, seconds) {
    const e = $(".saved");
    if (!e) return;
    e.dataset.state = now;
    const text = STATES[now](waiting, seconds), b = e.querySelector("b");
    if (b.textContent !== text) b.textContent = text;
  }
  function time(seconds, left) {
    const minutes = Math.ceil(left / 60), e = $(".clock");
    if (!e) return;
    e.textContent = `${clock(seconds)} · ${left <= 0 ? "time is up" : left < 60 ? "under a minute left" : minutes + " min left"}`;
    e.title = "Your time at this item, and how long it is yours: each label begins that anew";
    e.classList.toggle("bad", left < 120);
  }

  // Words above the table; each kind once, until it is closed or no longer so.
  function says(kind, text, { bad = false, link = null, stays = false } = {}) {
    const box = $(".says"), before = box?.querySelector(`[data-kind="${kind}"]`);
    if (!text) { before?.remove(); return; }
    const close = h("button", { type: "button", class: "btn ghost sm", "data-act": "hush", "data-kind": kind, "aria-label": "Close" }, h("i", { class: "ic x" }));
    const line = h("div", { class: "notice" + (bad ? " bad" : ""), "data-kind": kind }, h("span", {}, text), ...(link ? [h("a", { class: "btn sm", href: link.href }, link.text)] : []), ...(stays ? [] : [close]));
    before ? before.replaceWith(line) : box.append(line);
  }

  // Instead of an item: a title, a text, and buttons or links.
  function instead(title, text, ...more) {
    const tab = $(".tab");
    tab.className = "tab instead";
    for (const name of ["aria-busy", "aria-activedescendant", "role", "tabindex", "aria-label"]) tab.removeAttribute(name);
    tab.replaceChildren(h("div", { class: "empty", role: "status" }, h("b", {}, title), h("p", {}, text), ...more));
    $(".side").hidden = $(".hints").hidden = true;
    $(".clock").textContent = "";
  }
  const offer = (s) => h("button", { type: "button", class: "study", "data-act": "open_study", "data-id": s.id }, h("b", {}, s.name), h("span", { class: "num" }, s.total === s.done ? `${s.done} done, nothing left` : s.done ? `${s.done} of ${s.total} done` : many(s.total, "item")), h("small", {}, s.questions.map((q) => ({ correct: "correct?", solvable: "still solvable?", decides: "which step decides?" })[q]).join(" · ")));
  const studies = (list) => h("div", { class: "studies" }, ...list.map(offer));
  const link = (href, text, kind = "pri") => h("a", { class: "btn " + kind, href }, text);
  const button = (act, text, kind = "") => h("button", { type: "button", class: "btn " + kind, "data-act": act }, text);

  sv.annotated = { study, item, marks, select, state, time, says, instead, studies, link, button, many };
})();
