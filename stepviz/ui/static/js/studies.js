// Studies in the browser: the form asks again where a choice changes what comes of it; addresses; an item to settle by
// the keys of Annotate.
(() => {
  const sv = window.stepviz;
  if (sv.studies) return;
  sv.studies = true;
  const $ = (s) => document.querySelector(s), $$ = (s) => [...document.querySelectorAll(s)];
  const REST = 15000; // ms between two looks at how far people are
  const form = () => $("#sform form.build"), settle = () => $("#sopen form.settle");
  const fields = () => (form() ? Object.fromEntries(new FormData(form())) : {});
  const kept = new Set();
  let asked = 0, shown = "", anonymous = false, step = 1;

  const send = (act, sent) => sv.act(act, { ...sent, serial: typed.next() });
  const typed = sv.form("#sform form.build", (sent) => send("form", sent));
  let created = false; // the next form answers a click on Create: what is wrong is brought into sight
  sv.on_sform = (element) => {
    typed.answer(element);
    if (created) element.querySelector(".wrong:not([hidden])")?.scrollIntoView({ block: "center" });
    created = false;
  };
  sv.local.unpick = () => { // Explore's chains are left for all of them
    const { problem, answer, ...rest } = fields();
    const at = new URLSearchParams(location.search);
    for (const name of ["problem", "answer"]) at.delete(name);
    history.replaceState(null, "", at.size ? "?" + at : location.pathname);
    send("form", rest);
  };
  document.addEventListener("change", (e) => {
    if (!e.target.closest("#sform form.build")) return;
    clearTimeout(asked);
    const { name } = e.target;
    asked = setTimeout(() => send("form", fields()), ["name", "guideline"].includes(name) ? 120 : 0); // a click on Create comes first
  });
  let sent = null; // the draft of what was sent to be settled: an answer that says yes ends it
  document.addEventListener("submit", (e) => { if (e.target.matches("#sopen form.settle")) sent = key(); }, true);
  document.addEventListener("submit", (e) => { // before core.js reads the form
    if (!e.target.closest("#sform")) return;
    clearTimeout(asked);
    created = true;
    const sent = $("#sform [name=serial]");
    if (sent) sent.value = typed.next();
  }, true);
  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && e.target.matches?.("#sform input.field:not([name=name])")) { e.preventDefault(); e.target.blur(); }
  });

  sv.on_slist = (element) => {
    if (element.closest("#slist") && innerWidth > 760) element.querySelector(".drow.on")?.scrollIntoView({ block: "nearest" });
  };
  sv.on_sopen = (element) => {
    const head = element.querySelector(".phead"), now = `${head?.dataset.study ?? ""}/${head?.dataset.item ?? ""}`;
    const box = element.closest("#sopen") ?? element;
    box.classList.toggle("anon", anonymous);
    $("#studies")?.classList.toggle("one", !!element.querySelector(".settle"));
    for (const d of element.querySelectorAll("details[data-keep]")) d.open = kept.has(d.dataset.keep);
    for (const e of element.querySelectorAll(".settle input[type=radio]")) e.checked = e.hasAttribute("checked"); // the server's word
    const note = element.querySelector(".settle textarea");
    if (note) note.value = note.defaultValue;
    if (settle()) restore();
    if (now !== shown) {
      box.scrollTop = 0;
      const parted = element.querySelector(".ask.parted")?.closest(".srow");
      point(+(parted?.dataset.step ?? 1));
    } else point(step);
    shown = now;
  };
  document.addEventListener("toggle", (e) => {
    const name = e.target.dataset?.keep;
    if (name) e.target.open ? kept.add(name) : kept.delete(name);
  }, true);
  sv.local.names = () => { anonymous = !anonymous; $("#sopen")?.classList.toggle("anon", anonymous); };

  // One item: which step the keys are about, and what they say of it.
  function point(n) {
    const rows = $$("#sopen .srow[data-step]");
    if (!rows.length) return;
    step = Math.min(Math.max(1, n), rows.length);
    for (const row of rows) row.classList.toggle("on", +row.dataset.step === step);
    rows[step - 1].scrollIntoView({ block: "nearest" });
  }
  const question = () => $("#sopen .srow.on .ask.here")?.dataset.q ?? $("#sopen .srow.on .ask.parted")?.dataset.q ?? $("#sopen .srow[data-step] .ask")?.dataset.q;
  const radio = (q, n, value) => $(q === "decides" ? `#sopen input[name=decides][value="${n}"]` : `#sopen input[name="${q}-${n}"][value="${value}"]`);
  function rate(value) {
    const q = question() === "decides" ? "correct" : question();
    const r = radio(q, step, value);
    if (r) { r.checked = true; touched(); }
  }
  function firstError() { // as on Annotate: the steps before become good, or stay 0; later ones stay unrated
    const q = question() === "decides" ? "correct" : question();
    for (const row of $$("#sopen .srow[data-step]")) {
      const n = +row.dataset.step, before = n < step, now = $(`#sopen input[name="${q}-${n}"]:checked`)?.value ?? "";
      const value = before ? (now === "0" ? now : "1") : n === step ? "-1" : "";
      const r = radio(q, n, value);
      if (r) r.checked = true;
    }
    touched();
  }
  // What is chosen and not settled yet stays with its item, in this tab.
  const key = () => `stepviz-settle-${settle()?.dataset.study}/${settle()?.dataset.item}`;
  const store = (value) => { try { value ? sessionStorage.setItem(key(), value) : sessionStorage.removeItem(key()); } catch { /* private window */ } };
  const touched = () => settle() && store(JSON.stringify(Object.fromEntries(new FormData(settle()))));
  function restore() {
    let draft = null;
    try { draft = JSON.parse(sessionStorage.getItem(key()) ?? "null"); } catch { /* private window */ }
    if (!draft || !settle()) return;
    for (const e of settle().querySelectorAll("input[type=radio]")) e.checked = draft[e.name] === e.value;
    settle().querySelector("textarea").value = draft.note ?? "";
  }
  document.addEventListener("input", (e) => { if (e.target.closest("#sopen form.settle")) touched(); });
  document.addEventListener("click", (e) => {
    const row = e.target.closest("#sopen .srow[data-step]");
    if (!row) return;
    for (const ask of row.querySelectorAll(".ask")) ask.classList.toggle("here", ask.contains(e.target));
    point(+row.dataset.step);
  });
  sv.local.unsettle = (data) => { store(null); sv.act("unsettle", data); };
  const go = (selector) => $(selector)?.click();
  const KEYS = {
    j: () => point(step + 1), ArrowDown: () => point(step + 1), k: () => point(step - 1), ArrowUp: () => point(step - 1),
    1: () => rate("1"), 2: () => rate("0"), 3: () => rate("-1"), u: () => rate("unsure"), 0: () => rate(""),
    e: firstError, d: () => { const r = radio("decides", step); if (r) { r.checked = true; touched(); } },
    n: () => $("#sopen .settle textarea")?.focus(), z: () => go("#sopen [data-act=unsettle]"), h: () => sv.local.names(),
    Enter: () => settle()?.requestSubmit(), J: () => go("#sopen .phead .fore"), K: () => go("#sopen .phead .aft"),
  };
  document.addEventListener("keydown", (e) => {
    if (!$("#sopen .settle") || $("#sv-dialog")?.open || e.ctrlKey || e.metaKey || e.altKey) return;
    const typing = e.target.matches?.("textarea, input:not([type=radio]), select");
    if (e.key === "Escape") { typing ? e.target.blur() : go("#sopen .phead .back"); return; }
    if (typing || (e.key === "Enter" && e.target.matches?.("a, button"))) return;
    const does = KEYS[e.key];
    if (does) { e.preventDefault(); does(); }
  });

  // Addresses: a link inside the page opens without a reload.
  document.addEventListener("click", (e) => {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    const link = e.target.closest("#studies a[data-look]");
    if (!link) return;
    e.preventDefault();
    turn(link.getAttribute("href"));
  });
  const turn = (to) => { history.pushState(null, "", to); sv.act("look"); };
  sv.visit = (to) => { // what was sent is settled
    try { if (sent) sessionStorage.removeItem(sent); } catch { /* private window */ }
    sent = null;
    turn(to);
  };
  addEventListener("popstate", () => sv.act("look"));
  sv.on_run = (id) => history.replaceState(null, "", "?study=" + id);
  const look = () => { if (!document.hidden && !$("#sopen .settle") && !$("#sv-dialog")?.open) sv.act("look"); };
  addEventListener("focus", look);
  setInterval(look, REST);
  sv.act("open");
})();
