// Refine in the browser: the bar lives in the address, the threshold is dragged over the draft, a click starts from a step.
(() => {
  const sv = window.stepviz;
  if (sv.refine) return;
  sv.refine = true;
  const $ = (s) => document.querySelector(s), all = (s) => [...document.querySelectorAll(s)];
  const here = () => !!document.getElementById("refine");
  const params = () => new URLSearchParams(location.search);
  const form = () => $("form.rbar");
  let open = "", listed = "";

  // Addresses -------------------------------------------------------------------------------
  function address(changes) {
    const now = params();
    for (const [name, value] of Object.entries(changes)) value === null || value === "" || value === undefined ? now.delete(name) : now.set(name, value);
    now.delete("__theme");
    return now.size ? "?" + now : location.pathname;
  }
  const replace = (changes) => history.replaceState(null, "", address(changes));
  const start = () => { sv.threshold.forget(); sv.act("open"); if (params().has("many")) { replace({ many: null }); sv.act("many"); } };
  addEventListener("popstate", () => here() && start());
  const fields = () => Object.fromEntries(new FormData(form()));

  // The threshold: typed in the bar or dragged over the draft; both say the same, and where it puts the flag.
  function flag(t) {
    const said = $(".rbar .where"), step = $("#rview .half .row.ppit")?.dataset.i;
    if (said && !byHand() && $("#rview .half .row[data-score]")) said.textContent = step ? "step " + step : "no step";
    if (form().t !== document.activeElement) form().t.value = (+t).toFixed(2);
  }
  let noting = 0;
  const note = (t) => { clearTimeout(noting); noting = setTimeout(() => replace({ t, step: 0 }), 150); };
  sv.on_threshold = (t) => { unstep(); flag(t); note(t); };
  document.addEventListener("input", (e) => {
    if (!here() || !e.target.matches(".rbar [name=t]") || e.target.value === "") return;
    const t = Math.min(1, Math.max(0, +e.target.value)), tab = $("#rview .half .tab.s .hand");
    if (tab) sv.threshold.by(t - +tab.getAttribute("aria-valuenow"));
    else note(t);
  });
  document.addEventListener("change", (e) => {
    if (!here()) return;
    const at = e.target, many = at.closest("#sv-dialog form[data-act=refine_many]");
    if (many) { sv.act("many", Object.fromEntries(new FormData(many))); return; } // the estimate follows the form
    const own = at.closest(".rbar") && at.matches("select") && form().elements[at.name + "_own"];
    if (own) own.hidden = at.value !== "own";
    if (own && at.value === "own") { own.focus(); return; }
    if (at.closest(".rbar") && at.name.endsWith("_own")) {
      const role = at.name.slice(0, -4);
      if (at.value.trim()) { replace({ [role]: at.value.trim() }); sv.act("look", { typed: role }); }
      return;
    }
    if (at.closest(".rbar") && at.name !== "t") { replace({ [at.name]: at.value }); sv.act("look"); }
    if (at.closest("#ledger") && at.name) { replace({ [at.name]: at.value, skip: null }); sv.act("list"); }
  });

  // A step by hand: the refinement starts there, whatever the SORM says.
  // Its number 0 is "none": an address without one means what the open line says.
  const byHand = () => +(form()?.step?.value ?? 0);
  function unstep() { if (byHand()) form().step.value = 0; mark(); }
  function mark() {
    for (const row of all("#rview .half:not(.right) .row[data-i]")) row.classList.toggle("from", +row.dataset.i === byHand());
  }
  function from(step) {
    replace({ step: byHand() === +step ? 0 : step });
    sv.act("look");
  }
  document.addEventListener("click", (e) => {
    if (!here() || e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    const asked = e.target.closest(".rbar summary")?.parentElement;
    if (asked || !e.target.closest(".rbar .pop")) fold(asked, asked?.open);
    const line = e.target.closest("#ledger a[data-line]");
    if (line) {
      e.preventDefault();
      history.pushState(null, "", line.getAttribute("href"));
      start();
      return;
    }
    const row = e.target.closest("#rview .half:not(.right) .row[data-i]");
    if (row && !e.target.closest(".thr, .hand") && getSelection().isCollapsed) from(row.dataset.i);
  });

  // Models and More: open until a click beside them or Esc, whatever the server sends meanwhile.
  let unfolded = -1;
  const folds = () => all(".rbar details.who");
  function fold(asked, open) { // the one that was clicked opens and closes by itself
    unfolded = open ? -1 : folds().indexOf(asked);
    for (const d of folds()) if (d !== asked) d.open = false;
  }

  Object.assign(sv.local, {
    show: (d) => { replace({ show: d.name }); sv.act("look"); },
    unstep: () => { replace({ step: 0 }); sv.act("look"); },
    all: () => { replace({ when: null, where: null, by: null, gain: null, of: null, skip: null }); sv.act("list"); },
    page: (d) => { replace({ skip: +d.skip || null }); sv.act("list"); },
  });
  sv.on_run = (id) => replace({ run: id, refinement: null, show: null, chain: open || params().get("chain") });

  // After the server sent HTML: attributes are its word, what was typed before is not.
  sv.on_rform = (element) => {
    for (const e of element.querySelectorAll("input, select")) {
      if (e.type === "radio") e.checked = e.hasAttribute("checked");
      else if (e.tagName === "SELECT") e.value = (e.querySelector("option[selected]") ?? e.options[0])?.value ?? "";
      else if (e !== document.activeElement) e.value = e.getAttribute("value") ?? "";
    }
    for (const e of element.querySelectorAll("[name$=_own]")) e.hidden = true;
    folds().forEach((d, at) => { d.open = at === unfolded; });
    mark();
  };
  sv.on_rview = (element) => {
    const now = element.querySelector(".pair")?.dataset.chain ?? "";
    if (now !== open) { sv.threshold.forget(); element.querySelector(".pair")?.scrollTo(0, 0); }
    open = now;
    mark();
    if (now) { sv.threshold.keep(); const t = element.querySelector(".tab.s .hand")?.getAttribute("aria-valuenow"); if (t) flag(t); }
  };
  sv.on_ledger = (element) => {
    for (const e of element.querySelectorAll("select")) e.value = (e.querySelector("option[selected]") ?? e.options[0])?.value ?? "";
    const lines = element.querySelector(".lines"), on = element.querySelector(".lrow.on");
    const now = on?.dataset.line ?? "", moved = now !== listed;
    listed = now;
    if (on && moved && lines.scrollHeight > lines.clientHeight) lines.scrollTop = Math.max(0, on.offsetTop - lines.offsetTop - lines.clientHeight / 2); // the list alone
  };

  // Keys ------------------------------------------------------------------------------------
  function step(by) {
    const lines = all("#ledger a[data-line]"), i = lines.findIndex((l) => l.classList.contains("on"));
    lines[i < 0 ? 0 : Math.max(0, Math.min(lines.length - 1, i + by))]?.click();
  }
  function turn() {
    const cards = all("#rview .card[data-name]"), i = cards.findIndex((c) => c.classList.contains("on"));
    cards[(i + 1) % cards.length]?.click();
  }
  const stop = (b) => b && sv.act("cancel", { run: b.dataset.run, key: "Esc" }); // as in Explore
  const KEYS = {
    r: () => form()?.requestSubmit(form().querySelector(".pri:not(:disabled)") ?? undefined),
    j: () => step(1), k: () => step(-1), s: turn, m: () => sv.act("many"), ",": () => sv.threshold.by(-.05), ".": () => sv.threshold.by(.05),
    Escape: () => stop($("#rview .run [data-act=cancel]")),
  };
  document.addEventListener("keydown", (e) => {
    if (here() && e.key === "Enter" && e.target.matches?.(".rbar [name$=_own]")) { e.preventDefault(); e.target.blur(); return; }
    if (!here() || e.ctrlKey || e.metaKey || e.altKey || document.getElementById("sv-dialog")?.open) return;
    if (e.key === "Escape" && unfolded >= 0) { const was = folds()[unfolded]; fold(); was?.querySelector("summary").focus(); return; }
    if (e.target.closest("input:not([type=radio]), textarea, select")) { if (e.key === "Escape") e.target.blur(); return; }
    if (!KEYS[e.key] || (e.key === "r" && !form()?.querySelector(".pri:not(:disabled)"))) return;
    e.preventDefault();
    KEYS[e.key]();
  });

  if (here()) start();
  else new MutationObserver((_, o) => { if (here()) { o.disconnect(); start(); } }).observe(document, { childList: true, subtree: true });
})();
