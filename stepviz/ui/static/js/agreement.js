// Agreement in the browser: every field is a part of the address, and a change looks at the new one. What takes long is
// asked for again until it is there, and can be stopped.
(() => {
  const sv = window.stepviz;
  if (sv.agreement) return;
  sv.agreement = true;
  const $ = (s) => document.querySelector(s);
  const params = () => new URLSearchParams(location.search);
  let shown = "", watching = 0, before = null, askedAgain = "", typed = null; // typed: a name that is not sent yet, {name, text}

  function change(changes, how = "replaceState") {
    const now = params();
    for (const [name, value] of Object.entries(changes)) value ? now.set(name, value) : now.delete(name);
    now.delete("__theme");
    before = null;
    askedAgain = "";
    history[how](null, "", "?" + now);
    look();
  }
  function look() {
    clearTimeout(watching);
    sv.act("look");
  }

  // Answers overtake each other: one of an address that was left is asked for again, once.
  function late(element) {
    const asked = element.querySelector("[data-asked]")?.dataset.asked;
    if (asked === undefined || asked === location.search || asked === before || askedAgain === location.search) return false;
    askedAgain = location.search;
    look();
    return true;
  }

  // A name that somebody is typing stays, though an answer fills the form in.
  function typing(element) {
    const own = typed && element.querySelector(`[name=${typed.name}_own]`);
    if (!own) return;
    own.parentElement.querySelector(`[name=${typed.name}]`).value = "own";
    own.hidden = false;
    own.value = typed.text;
    own.focus();
  }
  document.addEventListener("input", (e) => { if (typed && e.target.name === typed.name + "_own") typed.text = e.target.value; });

  // The server's word is in the attributes; the address it was given comes back with every default filled in.
  sv.on_aform = (element) => {
    if (late(element)) return;
    for (const e of element.querySelectorAll("input, select")) {
      if (e.tagName === "SELECT") e.value = (e.querySelector("option[selected]") ?? e.options[0])?.value ?? "";
      else if (e.type === "radio") e.checked = e.hasAttribute("checked");
      else if (e !== document.activeElement) e.value = e.getAttribute("value") ?? "";
    }
    for (const e of element.querySelectorAll("[name$=_own]")) e.hidden = true;
    typing(element);
    const to = element.querySelector("form.build")?.dataset.address;
    if (to && to !== "?" && to !== location.search) {
      before = location.search; // the same, without its defaults
      history.replaceState(null, "", to);
    }
  };
  const again = () => {
    clearTimeout(watching);
    if (!$("#areport [data-waiting], #amore [data-waiting]")) return;
    watching = setTimeout(() => { sv.act("watch"); watching = setTimeout(again, 2000); }, 400); // an answer like the last one says nothing
  };
  sv.on_areport = (element) => { // another comparison begins at its top
    if (late(element)) return;
    const now = element.querySelector(".phead")?.dataset.of ?? "";
    if (now !== shown) $("#apane").scrollTop = 0;
    shown = now;
    $("#apane").classList.toggle("plots", !!element.querySelector("[data-plots]"));
    again();
  };
  sv.on_amore = (element) => {
    for (const e of element.querySelectorAll("select")) e.value = e.querySelector("option[selected]")?.value ?? "";
    typing(element);
    again();
  };
  Object.assign(sv.local, {
    look,
    stop: (d) => { clearTimeout(watching); sv.act("stop", d); },
  });

  document.addEventListener("change", (e) => {
    const at = e.target;
    if (!at.closest("#aform form.build, #amore .judges")) return;
    if (at.value === "own" && at.matches("select")) {
      typed = { name: at.name, text: "" };
      typing(at.closest("#aform, #amore"));
      return;
    }
    if (at.isConnected) typed = null;
    if (at.name.endsWith("_own")) {
      if (!at.isConnected) return; // new HTML took it away
      if (at.value.trim()) change({ [at.name.slice(0, -4)]: at.value.trim() });
    } else if (at.name === "source") change({ source: at.value, split: "", tune_split: "" });
    else if (at.name === "tune_split") change({ tune_split: at.value, threshold: "" });
    else change({ [at.name]: at.value });
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && e.target.matches?.("#aform input.field, #amore input.field")) { e.preventDefault(); e.target.blur(); }
  });
  document.addEventListener("submit", (e) => {
    const button = e.target.closest("form.learn")?.querySelector("button");
    if (button) { button.disabled = true; button.textContent = "Learning …"; }
  }, true);
  addEventListener("popstate", look);
  sv.act("open");
})();
