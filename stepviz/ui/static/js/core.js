// What every page shares: widgets, actions to the server, theme, dialog, toast, polling.
// Loaded once, before any widget; the widgets' js_on_load only calls stepviz.hub and stepviz.widget.
window.stepviz ??= (() => {
  // Gradio's <base> is the folder above a page's route: there "?run=1" would be an address of Explore's.
  document.querySelector("base")?.setAttribute("href", location.pathname);
  const widgets = {}, waiting = [];
  let send = null, pollTimer = 0, inFlight = 0;

  // The header carries the one Gradio event, 'act'; every action of a page goes through it.
  function hub(element, trigger, watch, name) {
    send = (data) => trigger(name, data);
    widget("top", element, watch);
    for (const data of waiting.splice(0)) send(data);
  }

  // `refresh` runs after the server sent new HTML, and once at the start.
  function widget(name, element, watch, upload) {
    widgets[name] = element;
    sv.upload ??= upload;
    const after = () => { sv["on_" + name]?.(element); sv.typeset(element); };
    watch("value", after);
    after();
  }

  function act(name, data = {}) {
    const message = { act: name, at: location.search, ...data };
    send ? send(message) : waiting.push(message);
  }

  function on_top(top) {
    const header = top.querySelector("header"), nav = header?.querySelector("nav"), on = nav?.querySelector(".on");
    if (on) nav.scrollLeft = Math.max(0, on.offsetLeft + on.offsetWidth - nav.offsetLeft - nav.clientWidth + 20); // a phone's is narrow, and its edge fades
    clearTimeout(pollTimer);
    if (header && +header.dataset.active > 0) pollTimer = setTimeout(poll, 700);
  }
  function poll() {
    if (document.hidden || inFlight > performance.now() - 4000) { pollTimer = setTimeout(poll, 700); return; }
    inFlight = performance.now();
    act("poll", { seen: widgets.top.querySelector("header")?.dataset.seen ?? "" });
    pollTimer = setTimeout(poll, 4000); // in case no answer comes; on_top sets the usual pace
  }
  addEventListener("focus", () => send && poll());

  // Server → browser, beside HTML: one reply at a time, with a nonce.
  function on_reply(element) {
    inFlight = 0;
    const box = element.querySelector("[data-kind]");
    if (!box || box.dataset.nonce === sv.lastReply) return;
    sv.lastReply = box.dataset.nonce;
    const { kind, text, go } = box.dataset;
    if (kind !== "poll" && kind !== "none") answered(); // a poll's answer is not the form's
    if (kind === "dialog") { openDialog(box.innerHTML); if (text) toast(text); }
    if (kind === "error") refused(text);
    if (kind === "toast") toast(text);
    if (kind === "run") { closeDialog(); sv.on_run?.(text); }
    if (kind === "done") { closeDialog(); if (text) toast(text); }
    if (kind === "poll") { clearTimeout(pollTimer); pollTimer = setTimeout(poll, 700); }
    if (go) { closeDialog(); sv.visit(go); }
  }

  function dialog() {
    let d = document.getElementById("sv-dialog");
    if (!d) {
      d = document.createElement("dialog");
      d.id = "sv-dialog";
      d.addEventListener("click", (e) => e.target === d && closeDialog());
      document.body.append(d);
    }
    return d;
  }
  function openDialog(html) {
    const d = dialog(), top = d.querySelector(".dbody")?.scrollTop ?? 0, again = d.open && d.dataset.name === nameOf(html);
    const at = again && d.contains(document.activeElement) ? document.activeElement : null;
    d.innerHTML = html;
    d.dataset.name = nameOf(html);
    sv.typeset(d);
    if (!d.open) d.showModal();
    if (again) {
      d.querySelector(".dbody").scrollTop = top;
      if (at?.name) [...d.querySelectorAll("[name]")].find((e) => e.name === at.name && (e.type !== "radio" || e.value === at.value))?.focus();
    }
    else (d.querySelector("[autofocus]") ?? d.querySelector(".dfoot .pri"))?.focus();
  }
  const nameOf = (html) => /data-name="([^"]*)"/.exec(html)?.[1] ?? "";
  function closeDialog() { const d = dialog(); if (d.open) d.close(); }

  // What is wrong with a form is said in it, and stays until somebody changes or sends it.
  function refused(text) {
    const body = dialog().open && dialog().querySelector("form .dbody");
    if (!body) return toast(text, true);
    forget();
    const said = document.createElement("p");
    said.className = "refused";
    said.setAttribute("role", "alert");
    said.textContent = text;
    body.after(said); // above the buttons, wherever the form is scrolled to
  }
  const forget = () => dialog().querySelector(".refused")?.remove();
  document.addEventListener("input", (e) => { if (e.target.closest("#sv-dialog form")) forget(); });
  const answered = () => dialog().querySelector("form[aria-busy]")?.removeAttribute("aria-busy");

  function toast(text, bad = false) {
    document.querySelector(".sv-toast")?.remove();
    const t = document.createElement("div");
    t.className = "sv-toast" + (bad ? " bad" : "");
    t.setAttribute("role", bad ? "alert" : "status");
    t.textContent = text;
    const d = dialog();
    (d.open ? d : document.body).append(t); // what is beside an open dialog lies behind its backdrop
    setTimeout(() => t.remove(), bad ? 9000 : 3500);
  }

  function theme(next) {
    const dark = next ?? !document.body.classList.contains("dark");
    document.body.classList.toggle("dark", dark);
    document.documentElement.classList.toggle("dark", dark);
    if (next != null) return; // what the machine asks for is followed until somebody chooses
    try { localStorage.setItem("stepviz-theme", dark ? "dark" : "light"); } catch { /* private window */ }
  }
  function savedTheme() {
    const asked = new URLSearchParams(location.search).get("__theme");
    if (asked) return asked === "dark";
    try { const s = localStorage.getItem("stepviz-theme"); if (s) return s === "dark"; } catch { /* private window */ }
    return matchMedia("(prefers-color-scheme: dark)").matches;
  }

  // A click on [data-act] is an action: one of the browser's own (sv.local), or one for the server.
  const ACTIONS = { theme: () => theme(), close: closeDialog };
  document.addEventListener("click", (e) => {
    const b = e.target.closest("[data-act]");
    if (!b || b.tagName === "FORM" || b.disabled) return;
    e.preventDefault();
    const { act: name, ...data } = b.dataset;
    (ACTIONS[name] ?? sv.local[name] ?? ((d) => act(name, d)))(data, b);
  });
  // A form's data-…: not `form.dataset`, which is a field of that name where the form has one.
  const dataOf = (form) => Object.getOwnPropertyDescriptor(HTMLElement.prototype, "dataset").get.call(form);
  document.addEventListener("submit", (e) => {
    const form = e.target.closest("form");
    if (!form) return;
    e.preventDefault();
    const { act: name, ...data } = dataOf(form);
    if (!name) return;
    if (form.closest("#sv-dialog")) { // a server may be asked first: some seconds
      if (form.hasAttribute("aria-busy")) return;
      forget();
      form.setAttribute("aria-busy", "true");
    }
    act(name, { ...data, ...Object.fromEntries(new FormData(form, e.submitter)) });
  });

  const sv = { hub, widget, act, on_top, on_reply, openDialog, closeDialog, toast, theme, savedTheme, local: {}, typeset() {}, visit(to) { location.href = to; } };
  return sv;
})();
stepviz.theme(stepviz.savedTheme());
