// Explore in the browser: addresses, selection, keys. Selecting a step never asks the server.
(() => {
  const sv = window.stepviz;
  if (sv.explore) return;
  sv.explore = true;
  const $ = (s) => document.querySelector(s), all = (s) => [...document.querySelectorAll(s)];
  const ours = ["problem", "chain", "step", "q", "source", "result", "skip", "origin", "answer", "sort", "scorer", "t", "engine", "tokenizer", "by", "by_tokenizer", "agree", "cell", "passed"];
  const params = () => new URLSearchParams(location.search);
  let retried = null, open = { chain: null, i: 0 };

  // Addresses -------------------------------------------------------------------------------
  function address(changes, from = params()) {
    for (const [name, value] of Object.entries(changes)) value === null || value === "" || value === undefined ? from.delete(name) : from.set(name, value);
    const kept = new URLSearchParams();
    for (const name of ours) if (from.get(name)) kept.set(name, from.get(name));
    const text = kept.toString();
    return text ? "?" + text : location.pathname;
  }
  const replace = (changes) => history.replaceState(null, "", address(changes));
  const push = (changes) => { const to = address(changes); if (to !== location.search) history.pushState(null, "", to); };
  addEventListener("popstate", () => onExplore() && openHere());
  const onExplore = () => !!document.getElementById("shell");
  const openHere = () => { open = { chain: null, i: 0 }; sv.threshold.forget(); recall(); sv.act("open"); };
  sv.visit = (to) => { const same = to === location.search; if (!same) history.pushState(null, "", to); keep(); openHere(); };

  // Who samples and who measures are chosen for the session, each with its tokenizer; an address that names them wins.
  const MODELS = [["engine", "tokenizer"], ["by", "by_tokenizer"]];
  function keep() {
    const here = params();
    try { for (const m of MODELS.flat()) here.get(m) ? sessionStorage.setItem("stepviz-" + m, here.get(m)) : sessionStorage.removeItem("stepviz-" + m); } catch { /* private window */ }
  }
  function recall() {
    const here = params(), missing = {};
    try {
      for (const names of MODELS) if (!names.some((m) => here.get(m)))
        for (const m of names) { const kept = sessionStorage.getItem("stepviz-" + m); if (kept) missing[m] = kept; }
    } catch { return; }
    if (Object.keys(missing).length) replace(missing);
    keep();
  }

  const NO_DOOR = { agree: null, cell: null, passed: null }; // the chains behind a number are left
  function openProblem(id) {
    push({ problem: id, chain: null, step: null, answer: null, origin: null, ...NO_DOOR });
    open = { chain: null, i: 0 };
    mark(".prow", "problem", id);
    sv.act("problem");
  }
  function openChain(id, step = null, of = null) { // with a step: on the way from chain to chain, which is no page of its own
    (step === null ? push : replace)({ chain: id, step, ...(of && { problem: of }) }); // of: another problem's, behind a number
    if (of) mark(".prow", "problem", of);
    mark(".crow", "chain", id);
    sv.act("chain");
  }
  function mark(rows, name, id) {
    for (const r of all(rows)) {
      const on = r.dataset[name] === id;
      r.classList.toggle("on", on);
      if (r.hasAttribute("aria-selected")) r.setAttribute("aria-selected", on);
      if (on) r.scrollIntoView({ block: "nearest" });
    }
  }

  // Steps -----------------------------------------------------------------------------------
  const head = () => $("#view .vhead");
  const rows = () => all("#view .row[data-i]");
  const current = () => rows().findIndex((r) => r.classList.contains("on"));
  function select(i, scroll = true, note = true) {
    const list = rows();
    if (!list.length) return;
    i = Math.max(0, Math.min(list.length - 1, i));
    open = { chain: head().dataset.chain, i };
    list.forEach((r, j) => { r.classList.toggle("on", j === i); r.setAttribute("aria-selected", j === i); });
    const side = $("#view .side");
    side.innerHTML = list[i].querySelector(".insp").innerHTML;
    sv.typeset(side);
    if (scroll) list[i].scrollIntoView({ block: "nearest" });
    if (note) replace({ step: i });
  }

  // The threshold follows the pointer, the address a little later: browsers allow few changes of it a second.
  let noting = 0;
  sv.on_threshold = (t) => { clearTimeout(noting); noting = setTimeout(() => replace({ t: t === .5 ? null : t }), 150); };

  // After the server sent HTML: the same chain keeps the reader's place, a new one starts at its own.
  sv.on_view = () => {
    const h = head(), here = params();
    if (!h) return;
    const { chain, problem, selected } = h.dataset, want = here.get("chain");
    if (want && chain && want !== chain && problem === here.get("problem") && retried !== want) { retried = want; sv.act("chain"); return; }
    if (problem && !here.get("problem")) replace({ problem });
    if (chain && !want && (!here.get("problem") || here.get("problem") === problem)) replace({ problem, chain });
    retried = null;
    sv.threshold.keep();
    if (chain && chain === open.chain) { select(open.i, false, false); return; }
    const tab = $("#view .tab");
    if (tab) tab.scrollTop = 0;
    open = { chain: chain ?? null, i: +(selected ?? 0) };
    const shell = $("#shell"), at = shell.scrollTop; // on a phone this scrolls too, away from the chains
    rows()[open.i]?.scrollIntoView({ block: "nearest" });
    shell.scrollTop = at;
    mark(".crow", "chain", chain);
    if (chain && chain === params().get("chain")) replace({ step: open.i });
  };
  let asking = 0;
  function askAgain(element) { // chains behind a number that is computed still; an answer like the last one says nothing
    clearTimeout(asking);
    if (!element.querySelector("[data-waiting]")) return;
    asking = setTimeout(() => { sv.act(params().get("chain") ? "chains" : "open"); asking = setTimeout(() => askAgain(element), 2000); }, 500);
  }
  sv.on_chains = (element) => {
    askAgain(element);
    const first = element.querySelector(".crow[data-of]");
    if (first && !params().get("chain")) openChain(first.dataset.chain, "", first.dataset.of); // the list came after the view
    const on = params().get("chain");
    if (on) mark(".crow", "chain", on);
    sampleCount(remembered("stepviz-sample"));
  };
  const remembered = (name) => { try { return localStorage.getItem(name); } catch { return null; } };
  function sampleCount(n) {
    const select = $("#chains [data-count]"), button = $("#chains .split [data-act=sample]");
    if (!n || !select || ![...select.options].some((o) => o.value === n)) return;
    select.value = n;
    button.dataset.n = n;
    button.firstChild.textContent = button.firstChild.textContent.replace(/\d+/, n);
  }
  sv.on_problems = () => { const on = params().get("problem"); if (on) for (const r of all(".prow")) r.classList.toggle("on", r.dataset.problem === on); };

  // Moves -----------------------------------------------------------------------------------
  function neighbour(selector, by) {
    const list = all(selector), i = list.findIndex((r) => r.classList.contains("on"));
    return list[i < 0 ? 0 : Math.max(0, Math.min(list.length - 1, i + by))];
  }
  function stepChain(by) { const to = neighbour("#chains .crow[data-chain]", by); if (to) openChain(to.dataset.chain, to.dataset.of ? "" : Math.max(0, current()), to.dataset.of); }
  function stepProblem(by) { const to = neighbour("#problems .prow", by); if (to) openProblem(to.dataset.problem); }
  const railShown = () => !!$("#rail")?.offsetParent;
  const narrow = () => innerWidth < 1500;
  const rail = () => $("#shell")?.classList.toggle("open");
  function find(changes) { replace({ skip: null, ...changes }); sv.act("find"); }

  Object.assign(sv.local, {
    rail, previous: () => stepProblem(-1), next: () => stepProblem(1),
    page: (d) => { find({ skip: +d.skip || null }); $("#problems").scrollTop = 0; },
    clear: () => { clearTimeout(typing); typed = {}; const f = $("#find form"); for (const e of f.elements) e.value = ""; find({ q: null, source: null, result: null }); },
    answer: (d) => { replace({ answer: params().get("answer") === d.answer ? null : d.answer }); sv.act("chains"); },
    own: () => { replace({ by: null, by_tokenizer: null }); keep(); sv.act("problem"); },
    unfilter: () => { replace({ answer: null, origin: null }); sv.act("chains"); },
    allchains: () => { push(NO_DOOR); sv.act("problem"); },
    passed: (d) => { push({ passed: +d.skip || null, problem: null, chain: null, step: null }); openHere(); },
    home: () => { history.pushState(null, "", location.pathname); openHere(); },
  });

  // Refine goes on with the threshold, and with whose scores, that were chosen here.
  function withScorer(link) {
    const to = new URL(link), t = sv.threshold.chosen() ?? params().get("t"), by = params().has("scorer") && $("#view .tab")?.dataset.scorer;
    if (t !== null) to.searchParams.set("t", t);
    if (by) to.searchParams.set("sorm", by);
    return to.pathname + to.search;
  }
  document.addEventListener("click", (e) => {
    if (!onExplore() || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    const link = e.target.closest("a[data-problem], a[data-chain]");
    if (link) {
      e.preventDefault();
      link.dataset.chain ? openChain(link.dataset.chain, null, link.dataset.of) : openProblem(link.dataset.problem);
      if (link.dataset.problem && narrow()) $("#shell").classList.remove("open");
      return;
    }
    const refine = e.target.closest("#view a[href^='/refine?chain']");
    if (refine) refine.href = withScorer(refine.href);
    if (narrow() && railShown() && !e.target.closest("#rail, [data-act=rail]")) $("#shell").classList.remove("open");
    const row = e.target.closest("#view .row[data-i]");
    if (row && !e.target.closest(".thr") && getSelection().isCollapsed) select(+row.dataset.i, false);
  });
  // What is typed waits a moment; whatever sets off the search takes everything that waits along.
  let typing = 0, typed = {};
  const flush = () => { clearTimeout(typing); const changes = typed; typed = {}; find(changes); };
  document.addEventListener("input", (e) => {
    const field = e.target.closest("#find [name]");
    if (!field) return;
    typed[field.name] = field.value.trim();
    clearTimeout(typing);
    field.name === "q" ? typing = setTimeout(flush, 180) : flush();
  });
  // Measure waits while a strategy is chosen that would draw nothing; a model that is typed in may have drawn nothing yet.
  function idle(e) {
    const form = e.target.closest("#sv-dialog form[data-act=measure]");
    if (form) form.querySelector(".dfoot .pri").disabled = !form.elements.other.value.trim() && !!form.querySelector("[name=strategy][data-nothing]:checked");
  }
  document.addEventListener("input", idle);
  // A server's model may need to be told its tokenizer: the field is there where such a one is typed or chosen.
  function served(e) {
    const form = e.target.closest("#sv-dialog form"), field = form?.querySelector(".tokenizer");
    if (!field) return;
    const other = form.elements.other.value.trim(), on = form.querySelector("[name=engine]:checked, [name=by]:checked");
    field.hidden = other ? !other.startsWith("openai:") : on?.dataset.served === undefined;
    if (e.target === on) field.querySelector("input").value = on.dataset.served ?? "";
  }
  document.addEventListener("input", served);
  document.addEventListener("change", (e) => {
    if (e.target.matches("#chains [data-count]")) {
      try { localStorage.setItem("stepviz-sample", e.target.value); } catch { /* private window */ }
      sampleCount(e.target.value);
    }
    const name = e.target.closest("#chains [data-change]")?.dataset.change;
    if (name) { replace({ [name]: e.target.value }); sv.act("chains"); }
    const measuring = e.target.closest("#sv-dialog form[data-act=measure]"); // what each strategy takes follows the form
    if (measuring && e.target.type === "radio" && e.target.name !== "strategy") sv.act("measurer", Object.fromEntries(new FormData(measuring)));
    if (e.target.matches("#view [data-change=scorer]")) { replace({ scorer: e.target.value }); sv.act("problem"); }
  });

  // Keys ------------------------------------------------------------------------------------
  const press = (selector) => () => $(selector)?.click();
  const stop = (b) => b && sv.act("cancel", { run: b.dataset.run, key: "Esc" }); // a run over more than this chain it does not reach
  const KEYS = {
    j: () => select(current() + 1), k: () => select(current() - 1), ArrowDown: () => select(current() + 1), ArrowUp: () => select(current() - 1),
    J: () => stepChain(1), K: () => stepChain(-1), N: () => stepProblem(1), P: () => stepProblem(-1),
    m: press("#view .side [data-act=more]"), c: press("#view .side [data-act=continue]"), e: press("#view .side [data-act=edit]"),
    M: press("#view [data-act=measure]"), w: press("#view .vhead [data-act=measurer]"), r: press("#view [data-refine]"), S: press("#view [data-act=scorers]"),
    ",": () => sv.threshold.by(-.05), ".": () => sv.threshold.by(.05), s: press("#chains [data-act=sample]"), "[": rail, "?": () => sv.act("help"),
    "/": () => { if (!railShown()) rail(); $("#find [name=q]")?.select(); },
    Escape: () => (narrow() && railShown() ? rail() : stop($("#view .run [data-act=cancel]"))),
  };
  document.addEventListener("keydown", (e) => {
    if (!onExplore() || e.ctrlKey || e.metaKey || e.altKey || document.getElementById("sv-dialog")?.open) return;
    if (e.target.closest("input, textarea, select, [contenteditable]")) { if (e.key === "Escape") e.target.blur(); return; }
    if ((e.key === "Enter" || e.key === " ") || !KEYS[e.key]) return;
    e.preventDefault();
    KEYS[e.key]();
  });
  if (onExplore()) openHere();
  else new MutationObserver((_, o) => { if (onExplore()) { o.disconnect(); openHere(); } }).observe(document, { childList: true, subtree: true });
})();
