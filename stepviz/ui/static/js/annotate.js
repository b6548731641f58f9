// Annotate in the browser: a person's turn at an item, by keys and by mouse. What they say is shown at once and goes
// through the outbox; the server's word is what stands beneath it.
(() => {
  const sv = window.stepviz;
  if (sv.annotate) return;
  sv.annotate = true;
  const $ = (s) => document.querySelector("#aview " + s), view = sv.annotated, words = sv.annotateWords;
  const RATED = ["correct", "solvable"];
  let me = null, admin = false, studies = [], box = null; // who, what they may choose, what is on its way
  let t = null, draft = null; // the turn, and what is kept of it here
  let base = {}, strokes = [], until = 0, renewing = false, asked = 0;

  // Which study ----------------------------------------------------------------------------
  const wanted = () => +new URLSearchParams(location.search).get("study") || 0;
  const last = (id) => { try { return id ? localStorage.setItem("stepviz-study/" + me, id) : +localStorage.getItem("stepviz-study/" + me); } catch { return 0; } };
  const leftIn = (s) => s.total - s.done;
  const here = () => location.pathname + location.search;
  const keptHere = () => { try { return Object.keys(localStorage).filter((k) => k.startsWith("stepviz-annotate/")).length; } catch { return 0; } };

  async function start() {
    const { status, answer } = await sv.post("studies");
    if (status === 401) return signedOut(answer);
    if (status !== 200) { view.instead("The server does not answer", "It may be starting anew. This page goes on by itself."); setTimeout(start, 2000); return; }
    if (me && me !== answer.you) return location.reload(); // somebody else signed in, in another tab
    me = sv.whoAsks = answer.you;
    admin = answer.role === "admin";
    studies = answer.studies.filter((s) => s.open !== false);
    const head = document.querySelector("#top header");
    if (head) { head.outerHTML = answer.head; sv.on_top(document.getElementById("top")); }
    box ??= sv.outbox(me, { answered, refused, late, changed });
    view.state("saved", 0, 0);
    if (box.waiting) await box.pump();
    const of = (id) => studies.find((s) => s.id === id);
    const some = studies.filter(leftIn), one = some.length ? some : studies;
    const id = wanted() || of(last())?.id || (one.length === 1 ? one[0].id : 0);
    id ? next(id) : choose();
  }
  function choose() {
    leave();
    view.study(studies, 0);
    if (studies.length) view.instead("Choose a study", "Each has its own questions and its own guideline.", view.studies(studies));
    else if (admin) view.instead("No study is open", "A study says which chains people label, and what they are asked.", view.link("/studies", "Make a study"));
    else view.instead("No study is open", "When an admin opens one, its items are here.", view.button("again", "Look again"));
  }
  function signedOut({ closed } = {}) {
    const n = keptHere(), kept = n ? ` ${view.many(n, "change")} that could not be saved ${n === 1 ? "is" : "are"} kept in this browser, and sent when the same person signs in.` : "";
    if (closed) return view.instead("This account is closed", "An admin can open it again." + kept, view.link("/logout", "Sign out"));
    view.instead("You are signed out", "Sign in again to go on." + kept, view.link(here(), "Sign in again"));
  }

  // An item --------------------------------------------------------------------------------
  function leave() { draft?.close(); t = draft = null; }
  async function next(id, again) {
    const mine = ++asked;
    const { status, answer } = await sv.post("next", { study: id, ...(again && { again }) });
    if (mine !== asked) return; // another study was chosen meanwhile
    if (status === 401) { if (!t) signedOut(answer); else changed("out", box.waiting, 0); return; }
    if (status === 0 || status >= 500) { if (!t) view.instead("The server does not answer", "It may be starting anew. This page goes on by itself."); setTimeout(() => mine === asked && next(id, again), 2000); return; }
    if (status !== 200) {
      leave();
      view.study(studies, 0);
      view.instead("Nothing to label here", answer.error, ...(studies.length ? [view.studies(studies)] : [view.button("again", "Look again")]));
      return;
    }
    address(id);
    answer.over ? over(id, answer.done) : open(id, answer);
  }
  function address(id) {
    const at = new URLSearchParams(location.search);
    at.set("study", id);
    if (location.search !== "?" + at) history.replaceState(null, "", "?" + at);
    last(id);
  }
  async function over(id, done) {
    leave();
    const { status, answer } = await sv.post("studies"); // how far everybody is has changed meanwhile
    if (status === 200) studies = answer.studies.filter((s) => s.open !== false);
    const others = studies.filter((s) => s.id !== id && leftIn(s));
    view.study(studies, id, done, done);
    const text = done ? `You have submitted ${view.many(done, "item")} of this study. Nothing is left for you in it now; what somebody else gives back may come later.` : "Nothing is left for you in this study.";
    view.instead(done ? "All done" : "Nothing to do", text, ...(others.length ? [view.studies(others)] : []), view.button("again", "Look again"));
  }
  function open(id, turn) {
    const same = t?.slot === turn.slot;
    if (!same) { draft?.close(); draft = sv.draft(me, turn.slot); strokes = []; }
    t = { ...turn, study: id, n: turn.steps.length };
    base = turn.labels;
    renewed();
    const s = studies.find((x) => x.id === id);
    view.study(studies, id, turn.done, Math.max(s?.total ?? 0, turn.done + 1));
    clock();
    if (same) { paint(); return; }
    draft.put({ i: Math.min(draft.d.i, t.n), q: Math.min(draft.d.q, t.questions.length - 1) });
    view.item(turn);
    guideline(id, turn.guideline);
    paint();
    view.select(draft.d.i);
    $(".tab").focus({ preventScroll: true });
  }
  function guideline(id, { version, newest }) { // a turn keeps the version that it began with
    const name = `stepviz-guideline/${me}/${id}`;
    let seen = 0;
    try { seen = +localStorage.getItem(name); localStorage.setItem(name, version); } catch { /* private window */ }
    view.says("guideline", seen && seen < version ? `The guideline has changed: this is version ${version}, and your last item went by version ${seen}.` : newest > version ? `There is a newer guideline, version ${newest}. This item still goes by version ${version}; the next one takes the new one.` : "");
    $(".guide").classList.toggle("new", !!seen && seen < version);
  }

  // What is said ---------------------------------------------------------------------------
  const copy = (labels) => Object.fromEntries(Object.entries(labels).map(([q, of]) => [q, { ...of }]));
  const noError = (value) => value === undefined || value === null || value === -1; // what an error further down makes good
  function said(op, labels) { // as the server will read it (annotating.labels)
    const { question: q, step, value, first_error } = op.body, of = (labels[q] ??= {});
    if (q === "decides") of[0] = step;
    else if (first_error) { for (let i = 1; i < step; i++) if (noError(of[i])) of[i] = 1; of[step] = -1; }
    else of[step] = value;
  }
  function standing() { // what the server knows, and what is on its way to it
    let labels = copy(base);
    const before = [...strokes];
    for (const op of box.of(t.slot)) {
      if (op.kind === "label") { before.push(copy(labels)); said(op, labels); }
      if (op.kind === "undo" && before.length) labels = before.pop();
    }
    return labels;
  }
  const column = () => t.questions[draft.d.q];
  const noted = () => (RATED.includes(column()) ? column() : t.questions.find((q) => RATED.includes(q)) ?? "decides");
  const isRated = (labels, q, step) => (q === "decides" ? labels.decides?.[0] === step : labels[q]?.[step] !== undefined);
  const stepOf = (op) => (op.body.question === "decides" ? 0 : op.body.step);
  function sentNote(q, step) {
    const at = q === "decides" ? 0 : step;
    const sent = box.of(t.slot).findLast((op) => op.kind === "label" && op.body.question === q && stepOf(op) === at && op.body.note !== undefined);
    return sent?.body.note ?? t.notes[q]?.[at] ?? "";
  }
  const noteOf = (q, step) => draft.d.notes[`${q}/${step}`] ?? sentNote(q, step); // what is typed comes first
  const sending = () => !!t && box.of(t.slot).some((op) => op.kind === "submit");
  const ending = (labels) => {
    const { flags, finish } = draft.d, wrong = RATED.some((q) => Object.values(labels[q] ?? {}).includes(-1));
    return finish || ["bad_problem", "give_up"].find((f) => flags.includes(f)) || (wrong ? "found_error" : "solution");
  };
  function paint() {
    if (!t) return;
    const labels = standing(), q = noted(), notes = {};
    for (let i = 1; i <= t.n; i++) {
      const chosen = q !== "decides" || labels.decides?.[0] === i || `${q}/${i}` in draft.d.notes;
      notes[i] = { text: chosen ? noteOf(q, i) : "", kept: `${q}/${i}` in draft.d.notes };
    }
    view.marks({ labels, notes, i: draft.d.i, q: draft.d.q, asked: t.questions, finish: ending(labels), flags: draft.d.flags, note: draft.d.note, busy: sending() });
  }
  function add(kind, body) { box.add(kind, t.slot, body, t.study); paint(); }
  function label(q, step, more) {
    const note = noteOf(q, step).trim(), { [`${q}/${step}`]: _, ...notes } = draft.d.notes;
    draft.put({ notes, finish: ["solution", "found_error"].includes(draft.d.finish) ? "" : draft.d.finish });
    add("label", { question: q, step, ...more, note });
  }
  function rate(q, step, value) {
    if (!t || sending() || !t.questions.includes(q)) return;
    const labels = standing();
    if (q === "decides") { if (labels.decides?.[0] !== step) label(q, step, {}); }
    else if (!isRated(labels, q, step) || labels[q][step] !== value) label(q, step, { value });
  }
  function firstError(step) {
    const q = RATED.includes(column()) ? column() : t.questions.find((x) => RATED.includes(x));
    if (!q || sending()) return;
    const labels = standing(), mine = [];
    for (let i = 1; i < step; i++) if (noError(labels[q]?.[i]) && noteOf(q, i)) mine.push(i); // their notes come after
    const notes = mine.map((i) => [i, noteOf(q, i)]);
    label(q, step, { first_error: true });
    for (const [i, note] of notes) { draft.d.notes[`${q}/${i}`] = note; label(q, i, { value: 1 }); }
  }
  function keepNote(field = $("[name=step_note]")) {
    if (!t || !field || sending()) return;
    const step = +field.dataset.step, q = noted(), labels = standing(), { [`${q}/${step}`]: typed, ...others } = draft.d.notes;
    if (typed === undefined || typed.trim() === sentNote(q, step)) draft.put({ notes: others });
    else if (isRated(labels, q, step)) label(q, step, q === "decides" ? {} : { value: labels[q][step] });
    paint();
  }
  function undo() {
    if (!t || sending()) return;
    const mine = box.of(t.slot).at(-1);
    if (mine?.kind === "label" && !mine.tried) { box.drop(mine); paint(); }
    else add("undo", {});
  }

  // The end of an item ---------------------------------------------------------------------
  function submit(anyway = false) {
    if (!t || sending()) return;
    keepNote();
    const labels = standing(), finish = ending(labels), lacks = words.missing(t.questions, t.n, labels, draft.d.i);
    if (!anyway && lacks.length && !["give_up", "bad_problem"].includes(finish)) return sv.openDialog(words.ask(lacks));
    draft.put({ note: $("[name=note]").value });
    const left = Object.entries(draft.d.notes).filter(([, text]) => text).map(([at, text]) => `step ${at.split("/")[1]}: ${text}`); // of steps that stay unrated
    const note = [draft.d.note.trim(), ...left].filter(Boolean).join("\n").slice(0, 10000);
    add("submit", { finish, seconds: Math.min(86400, Math.round(draft.tick() * 10) / 10), flags: draft.d.flags, note });
  }
  // The server's answers -------------------------------------------------------------------
  const renewed = () => { until = performance.now() + 1000 * t.lease_s; };
  function answered(op, answer) {
    if (!t || op.slot !== t.slot) { if (op.kind === "submit") sv.draft(me, op.slot).drop(); return; }
    if (op.kind === "submit") { draft.drop(); view.says("guideline", ""); view.says("lost", ""); next(t.study); return; }
    renewed();
    if (op.kind === "label") {
      strokes.push(copy(base));
      if (op.body.note !== undefined) (t.notes[op.body.question] ??= {})[stepOf(op)] = op.body.note;
    } else { strokes.pop(); t.notes = answer.notes; }
    base = answer.labels;
    paint();
  }
  function refused(op, why) {
    sv.toast(why, true);
    if (t && op.slot === t.slot) next(t.study, t.slot); // as it stands there
  }
  async function late(op) { // its time ran out: it is taken again, if nobody else has it
    const { status, answer } = await sv.post("next", { study: op.study, again: op.slot });
    if (status !== 200) return status === 409 ? false : null;
    if (answer.slot === op.slot) { if (t?.slot === op.slot) renewed(); sv.toast("This item’s time had run out. It is still yours, and what you said is saved."); return true; }
    const lost = box.of(op.slot);
    if (lost.length) view.says("lost", `The time of the item before ran out, and somebody else has it now. What was saved stays; this came too late and was not saved: ${lost.map(words.told).join("; ")}.`, { bad: true });
    lost.forEach(box.drop);
    if (t ? t.study === op.study : wanted() === op.study) { address(op.study); answer.over ? over(op.study, answer.done) : open(op.study, answer); }
    return true;
  }
  let retryAt = 0;
  function changed(state, waiting, seconds) {
    retryAt = state === "failed" ? performance.now() + 1000 * seconds : 0;
    view.state(state, waiting, seconds);
    if (state === "saving") return; // what was said stays until it is saved
    view.says("failed", state === "failed" ? "The server does not answer. Go on: what you label is kept in this browser, over a reload, too, and sent again until it is saved." : "", { bad: true, stays: true });
    view.says("out", state === "out" ? "You are signed in no more: the server may have been started anew, or somebody else signed in here. What you label is kept in this browser and sent when you sign in again." : "", { bad: true, stays: true, link: { href: here(), text: "Sign in again" } });
    view.says("private", box && !box.kept ? "This browser keeps nothing (a private window?): a reload would lose what is not saved yet." : "", { bad: true, stays: true });
    paint();
  }

  // Time -----------------------------------------------------------------------------------
  setInterval(() => {
    if (retryAt) view.state("failed", box.waiting, Math.max(0, Math.ceil((retryAt - performance.now()) / 1000)));
    clock();
  }, 1000);
  function clock() { if (draft && t) view.time(draft.tick(), (until - performance.now()) / 1000); }
  async function atWork() { // reading is work, too: the item stays its reader's
    if (!t || renewing || document.hidden || box.waiting || until - performance.now() > 1000 * t.lease_s * .75) return;
    renewing = true;
    const { slot, study } = t, { status } = await sv.post("keep", { slot });
    if (status === 200 && t?.slot === slot) renewed();
    if (status === 401) changed("out", box.waiting, 0);
    if (status === 410) await late({ slot, study });
    setTimeout(() => { renewing = false; }, 5000);
  }
  for (const kind of ["keydown", "pointerdown", "pointermove", "wheel"]) addEventListener(kind, atWork, { passive: true });

  // Hands ----------------------------------------------------------------------------------
  function move(by) { go(draft.d.i + by); }
  function go(i) { keepNote(); draft.put({ i: Math.max(1, Math.min(t.n, i)) }); paint(); view.select(draft.d.i); }
  function turnTo(q) { keepNote(); draft.put({ q: (q + t.questions.length) % t.questions.length }); paint(); }
  const back = () => $(".tab")?.focus({ preventScroll: true });
  const key = (value) => () => (column() === "decides" ? value === 1 && rate("decides", draft.d.i) : value === 0 && column() === "solvable" ? sv.toast("Still solvable: 1 is yes, 3 is no.") : rate(column(), draft.d.i, value));
  const KEYS = {
    j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1), Home: () => go(1), End: () => go(t.n),
    1: key(1), 2: key(0), 3: key(-1), u: () => RATED.includes(column()) && rate(column(), draft.d.i, null), e: () => firstError(draft.d.i), d: () => rate("decides", draft.d.i),
    q: () => turnTo(draft.d.q + 1), z: undo, n: () => { const f = $("[name=step_note]"); f.focus(); f.scrollIntoView({ block: "nearest" }); }, Enter: () => submit(), "?": () => sv.local.sheet(),
  };
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || document.getElementById("sv-dialog")?.open) return;
    if (e.target.closest("input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]")) {
      if (e.key === "Escape") { e.target.blur(); back(); }
      return;
    }
    if (e.key === "?") { e.preventDefault(); sv.local.sheet(); return; }
    if (!t) return;
    const on = document.activeElement, inTable = on === document.body || !!on.closest("#aview .tab");
    if (e.key === "Tab" && inTable && t.questions.length > 1) { // and on to the page behind the last one
      const to = draft.d.q + (e.shiftKey ? -1 : 1);
      if (to >= 0 && to < t.questions.length) { e.preventDefault(); turnTo(to); }
      return;
    }
    if (!KEYS[e.key] || e.repeat && !/^(j|k|Arrow.*)$/.test(e.key)) return;
    if ((e.key === "Enter" || e.key.startsWith("Arrow")) && !inTable && on.closest("a, button, input, summary, .gtext")) return; // theirs
    e.preventDefault();
    KEYS[e.key]();
  });
  document.addEventListener("click", (e) => {
    const row = e.target.closest("#aview .row[data-i]");
    if (!t || !row || +row.dataset.i === 0 || e.target.closest("[data-act]") || !getSelection().isCollapsed) return;
    go(+row.dataset.i);
  });
  Object.assign(sv.local, {
    rate: ({ q, step, value }) => { if (sending()) return; draft.put({ q: t.questions.indexOf(q) }); go(+step); rate(q, +step, value === "unsure" ? null : +value); back(); },
    column: ({ q }) => { turnTo(t.questions.indexOf(q)); back(); },
    undo: () => { undo(); back(); },
    submit: () => submit(), anyway: () => { sv.closeDialog(); submit(true); },
    go_to: ({ q, step }) => { sv.closeDialog(); draft.put({ q: t.questions.indexOf(q) }); go(+step); back(); },
    retry: () => box?.pump(), sheet: () => sv.openDialog($(".sheet").innerHTML), hush: ({ kind }) => view.says(kind, ""),
    open_study: ({ id }) => next(+id), again: () => start(),
  });
  document.addEventListener("change", (e) => {
    const field = e.target;
    if (field.matches("#aview select.which")) { if (+field.value) { leave(); next(+field.value); } return; }
    if (!t || !field.closest("#aview .mine")) return;
    if (field.name === "step_note") keepNote(field);
    if (field.name === "flag") draft.put({ flags: [...document.querySelectorAll("#aview [name=flag]:checked")].map((f) => f.value), finish: "" });
    if (field.name === "finish") draft.put({ finish: field.value });
    paint();
  });
  document.addEventListener("input", (e) => {
    if (!t) return;
    if (e.target.matches("#aview [name=note]")) draft.put({ note: e.target.value });
    if (e.target.matches("#aview [name=step_note]")) draft.put({ notes: { ...draft.d.notes, [`${noted()}/${e.target.dataset.step}`]: e.target.value } }); // a reload in the middle of a word
  });
  addEventListener("popstate", () => { const id = wanted(); if (id && id !== t?.study) { leave(); next(id); } });
  let begun = false;
  sv.on_aview = () => { if (!begun && $(".tab")) { begun = true; start(); } };
})();
