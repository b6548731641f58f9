// Train in the browser: the form asks again where a choice changes its defaults or what it takes; addresses.
(() => {
  const sv = window.stepviz;
  if (sv.train) return;
  sv.train = true;
  const $ = (s) => document.querySelector(s);
  const form = () => $("#tform form.build");
  const fields = () => (form() ? Object.fromEntries(new FormData(form())) : {});
  let more = false, shown = "", asked = 0;

  // The server's word is in the attributes; what was typed before must not stand in another setting's field.
  sv.on_tform = (element) => {
    for (const e of element.querySelectorAll("input, select")) {
      if (e.type === "checkbox" || e.type === "radio") e.checked = e.hasAttribute("checked");
      else if (e.tagName === "SELECT") e.value = (e.querySelector("option[selected]") ?? e.options[0])?.value ?? "";
      else e.value = e.getAttribute("value") ?? "";
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
  document.addEventListener("change", (e) => {
    if (!e.target.closest("#tform form.build")) return;
    sv.askedOwn = e.target.name === "base";
    clearTimeout(asked);
    asked = setTimeout(() => sv.act("form", fields()), e.target.name === "name" ? 120 : 0); // a click on Train comes first
  });
  document.addEventListener("submit", () => clearTimeout(asked), true);
  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && e.target.matches?.("#tform input.field:not([name=name])")) { e.preventDefault(); e.target.blur(); }
  });

  document.addEventListener("click", (e) => {
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    const link = e.target.closest("#tlist a[data-run]");
    if (!link) return;
    e.preventDefault();
    history.pushState(null, "", link.getAttribute("href"));
    sv.act("look");
  });
  addEventListener("popstate", () => sv.act("look"));
  sv.on_run = (id) => history.replaceState(null, "", "?run=" + id);
  sv.act("open");
})();
