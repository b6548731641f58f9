// Train in the browser: the form asks again where a choice changes its defaults or what it takes; addresses.
(() => {
  const sv = window.stepviz;
  if (sv.train) return;
  sv.train = true;
  const $ = (s) => document.querySelector(s);
  const form = () => $("#tform form.build");
  const fields = () => (form() ? Object.fromEntries(new FormData(form())) : {});
  let more = false, shown = "", asked = 0;

  const send = (act, sent) => sv.act(act, { ...sent, serial: kept.next() });
  const kept = sv.form("#tform form.build", (sent) => send("form", sent));
  sv.on_tform = (element) => {
    kept.answer(element);
    const details = element.querySelector("details");
    if (details) details.open = more;
    const own = element.querySelector("[name=own]");
    if (own && !own.hidden && !own.value && sv.askedOwn) own.focus();
    sv.askedOwn = false;
  };
  sv.local.like = (sent) => { clearTimeout(asked); send("like", sent); }; // the form as it stood is asked for no more
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
  document.addEventListener("change", (e) => {
    if (!e.target.closest("#tform form.build")) return;
    sv.askedOwn = e.target.name === "base";
    clearTimeout(asked);
    asked = setTimeout(() => send("form", fields()), e.target.name === "name" ? 120 : 0); // a click on Train comes first
  });
  document.addEventListener("submit", () => { // before core.js reads the form
    clearTimeout(asked);
    const sent = $("#tform [name=serial]");
    if (sent) sent.value = kept.next();
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
