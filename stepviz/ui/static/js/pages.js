// Import and Runs in the browser.
(() => {
  const sv = window.stepviz;
  if (sv.pages) return;
  sv.pages = true;
  const $ = (s) => document.querySelector(s);
  const start = () => sv.act("open");

  // Runs: a click opens a run's settings, a choice filters the list; the address says which.
  const turn = (change) => {
    const at = new URLSearchParams(location.search);
    change(at);
    history.replaceState(null, "", at.size ? "?" + at : location.pathname);
    sv.act("open");
  };
  document.addEventListener("click", (e) => {
    const row = e.target.closest(".rrow[data-run]");
    if (!row || e.target.closest("a, button") || !getSelection().isCollapsed) return;
    const { run } = row.dataset;
    turn((at) => at.get("run") === run ? at.delete("run") : at.set("run", run));
  });
  document.addEventListener("change", (e) => {
    if (!e.target.matches(".rfilter select")) return;
    const { name, value } = e.target;
    turn((at) => { at.delete("skip"); at.delete("run"); value ? at.set(name, value) : at.delete(name); });
  });
  // A log that is read stays where it is when the page comes anew.
  let log = null;
  document.addEventListener("scroll", (e) => {
    if (e.target.matches?.(".rmore pre")) log = { run: new URLSearchParams(location.search).get("run"), top: e.target.scrollTop };
  }, true);
  sv.on_page = (page) => {
    const pre = page.querySelector(".rmore pre");
    if (pre && log?.run === new URLSearchParams(location.search).get("run")) pre.scrollTop = log.top;
  };
  document.addEventListener("keydown", (e) => { if (e.key === "Enter" && e.target.matches?.(".rrow[data-run]")) e.target.click(); });
  addEventListener("popstate", start);

  // Import: a file is dropped or chosen, uploaded to this machine's own app, and looked into.
  const fields = () => {
    const form = $("form.import");
    return form ? Object.fromEntries([...new FormData(form)].filter(([, v]) => typeof v === "string")) : {};
  };
  async function take(input) {
    const file = input?.files[0];
    if (!file || !sv.upload) return;
    input.value = "";
    await send(file);
  }
  async function send(file) {
    const box = $(".drop");
    box?.classList.add("busy");
    try {
      const { path } = await sv.upload(file); // sent as "file": Gradio takes a "path" for one of its own
      sv.act("look", { file: path, uploaded: "yes" });
    } catch (error) {
      sv.toast("The file could not be read: " + error.message, true);
    } finally { box?.classList.remove("busy", "over"); }
  }
  document.addEventListener("change", (e) => {
    if (e.target.matches(".drop input[type=file]")) { take(e.target); return; }
    const form = e.target.closest("form.import");
    if (form && e.target.matches("select")) sv.act("look", { ...fields(), changed: e.target.name });
  });
  for (const kind of ["dragover", "dragleave", "drop"])
    document.addEventListener(kind, (e) => {
      const box = $(".drop");
      if (!box) return;
      e.preventDefault();
      box.classList.toggle("over", kind === "dragover");
      if (kind === "drop" && e.dataTransfer.files[0]) send(e.dataTransfer.files[0]);
    });
  sv.on_form = () => take($(".drop input[type=file]")); // chosen before this script was there
  sv.local.import = () => sv.act("import", fields());
  sv.on_run = (id) => history.replaceState(null, "", "?run=" + id);
  start();
})();
