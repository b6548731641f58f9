// Compare in the browser: every field is a part of the address, and a change looks at the new one.
(() => {
  const sv = window.stepviz;
  if (sv.compare) return;
  sv.compare = true;
  const $ = (s) => document.querySelector(s);
  const params = () => new URLSearchParams(location.search);
  let shown = "";

  const replace = (to) => history.replaceState(null, "", to);
  function change(changes) {
    const now = params();
    for (const [name, value] of Object.entries(changes)) now.set(name, value);
    for (const name of ["skip", "__theme"]) now.delete(name);
    replace("?" + now);
    sv.act("look");
  }

  // The hand shows the threshold at once; what follows from it is asked for once it rests. Answers overtake each other:
  // the hand's own word wins, and one that was drawn at another threshold is asked for again.
  let resting = 0;
  const rested = () => { clearTimeout(resting); resting = 0; };
  sv.on_threshold = (t) => { clearTimeout(resting); resting = setTimeout(() => { resting = 0; change({ t }); }, 150); };

  // The server's word is in the attributes; the address it was given comes back with every default filled in.
  sv.on_cform = (element) => {
    for (const e of element.querySelectorAll("input, select")) {
      if (e.tagName === "SELECT") e.value = (e.querySelector("option[selected]") ?? e.options[0])?.value ?? "";
      else if (e !== document.activeElement) e.value = e.getAttribute("value") ?? "";
    }
    for (const e of element.querySelectorAll("[name$=_own]")) e.hidden = true;
    const to = element.querySelector("form.build")?.dataset.address;
    if (to && to !== "?") replace(to);
  };
  sv.on_clist = (element) => {
    if (innerWidth > 760) element.querySelector(".drow.on")?.scrollIntoView({ block: "nearest" });
  };
  sv.on_copen = (element) => { // another comparison begins at its top; a filter of the same one leaves the place
    const now = element.querySelector(".phead")?.dataset.of ?? "";
    if (now !== shown) element.scrollTop = 0;
    shown = now;
    if (sv.threshold.keep() && !resting) sv.threshold.by(0);
  };

  document.addEventListener("change", (e) => {
    const at = e.target;
    if (!at.closest("#cform form.build")) return;
    if (at.value === "own" && at.matches("select")) {
      const own = $(`#cform [name=${at.name}_own]`);
      own.hidden = false;
      own.focus();
    } else if (at.name.endsWith("_own")) {
      if (at.value.trim()) change({ [at.name.slice(0, -4)]: at.value.trim() });
    } else if (at.name === "source") change({ source: at.value, split: "" });
    else change({ [at.name]: at.value });
  });
  const KEYS = { ",": () => sv.threshold.by(-.05), ".": () => sv.threshold.by(.05) };
  document.addEventListener("keydown", (e) => {
    if (!KEYS[e.key] || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea, select") || $("#sv-dialog")?.open) return;
    e.preventDefault();
    KEYS[e.key]();
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && e.target.matches?.("#cform input.field")) { e.preventDefault(); e.target.blur(); }
  });
  document.addEventListener("click", (e) => {
    if (e.target.closest("#copen .files a")) { sv.toast("Your browser saves the table."); return; }
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    const link = e.target.closest("a[data-go]");
    if (!link || !$("#compare")) return;
    e.preventDefault();
    rested();
    const to = new URLSearchParams(link.getAttribute("href"));
    if (!link.closest("#copen")) sv.threshold.forget(); // another comparison
    else if (sv.threshold.chosen() !== null) to.set("t", sv.threshold.chosen());
    history.pushState(null, "", "?" + to);
    sv.act("look");
  });
  addEventListener("popstate", () => { rested(); sv.threshold.forget(); sv.act("look"); });
  sv.local.page = (d) => {
    const now = params();
    +d.skip ? now.set("skip", d.skip) : now.delete("skip");
    history.pushState(null, "", "?" + now);
    sv.act("look");
    $("#copen .rhead")?.scrollIntoView({ block: "start" });
  };
  sv.on_run = () => {}; // the address says what is compared: its run is found by that
  sv.act("open");
})();
