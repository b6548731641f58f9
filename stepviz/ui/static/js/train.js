// Train in the browser: the form asks again where a choice changes its defaults or what it takes; addresses.
(() => {
  const sv = window.stepviz;
  if (sv.train) return;
  sv.train = true;
  const $ = (s) => document.querySelector(s);
  const form = () => $("#tform form.build");
  const fields = () => (form() ? Object.fromEntries(new FormData(form())) : {});
  let more = false, shown = "", asked = 0;
  let serial = 0, journal = []; // requests sent; what was typed or chosen, with the last request before it

  // The server's word is in the attributes: what was typed before must not stand in another setting's field. But what
  // was typed after this answer was asked for stays: a busy machine answers late.
  sv.on_tform = (element) => {
    for (const e of element.querySelectorAll("input, select")) {
      if (e.type === "checkbox" || e.type === "radio") e.checked = e.hasAttribute("checked");
      else if (e.tagName === "SELECT") e.value = (e.querySelector("option[selected]") ?? e.options[0])?.value ?? "";
      else e.value = e.getAttribute("value") ?? "";
    }
    const answered = element.querySelector("[name=serial]")?.value ?? "";
    journal = answered === "all" ? [] : journal.filter((j) => j.after >= +answered);
    for (const j of journal)
      for (const e of element.querySelectorAll(`[name="${CSS.escape(j.name)}"]`)) {
        if (e.type === "radio") e.checked = e.value === j.value;
        else if (e.type === "checkbox") e.checked = j.checked;
        else if (e.tagName !== "SELECT" || [...e.options].some((o) => o.value === j.value)) e.value = j.value;
      }
    const details = element.querySelector("details");
    if (details) details.open = more;
    const own = element.querySelector("[name=own]");
    if (own && !own.hidden && !own.value && sv.askedOwn) own.focus();
    sv.askedOwn = false;
  };
  sv.on_tlist = (element) => {
    const box = element.closest("#tlist"); // on a narrow window the page scrolls, and stays where it is
    if (box && innerWidth > 760) element.querySelector(".drow.on")?.scrollIntoView({ block: "nearest" });
  };
  sv.on_topen = (element) => {
    const now = element.querySelector(".phead")?.dataset.run ?? "";
    if (now !== shown) element.scrollTop = 0;
    shown = now;
  };
  document.addEventListener("toggle", (e) => { if (e.target.matches?.("#tform details")) more = e.target.open; }, true);
  const note = (e) => {
    const { name, value, checked } = e.target;
    if (e.target.closest("#tform form.build") && name) journal.push({ after: serial, name, value, checked });
  };
  document.addEventListener("input", note);
  document.addEventListener("change", (e) => {
    if (!e.target.closest("#tform form.build")) return;
    note(e);
    sv.askedOwn = e.target.name === "base";
    clearTimeout(asked);
    const ask = () => sv.act("form", { ...fields(), serial: ++serial });
    asked = setTimeout(ask, e.target.name === "name" ? 120 : 0); // a click on Train comes first
  });
  document.addEventListener("submit", () => { // before core.js reads the form
    clearTimeout(asked);
    const sent = $("#tform [name=serial]");
    if (sent) sent.value = ++serial;
  }, true);
  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && e.target.matches?.("#tform input.field:not([name=name])")) { e.preventDefault(); e.target.blur(); }
  });

  document.addEventListener("click", (e) => {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    const link = e.target.closest("#train a[data-run]");
    if (!link) return;
    e.preventDefault();
    history.pushState(null, "", link.getAttribute("href"));
    sv.act("look");
  });
  addEventListener("popstate", () => sv.act("look"));
  sv.on_run = (id) => history.replaceState(null, "", "?run=" + id);
  sv.act("open");
})();
