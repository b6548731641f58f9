// Datasets in the browser: the form asks again where a choice changes what can be chosen; addresses; downloads.
(() => {
  const sv = window.stepviz;
  if (sv.datasets) return;
  sv.datasets = true;
  const $ = (s) => document.querySelector(s);
  const ASKS = ["recipe", "source", "split", "model", "rollouts", "oracle"];
  const fields = () => ($("form.build") ? Object.fromEntries(new FormData($("form.build"))) : {});
  let more = false, shown = "";

  const send = (act, sent) => sv.act(act, { ...sent, serial: form.next() });
  const form = sv.form("form.build", (sent) => send("form", sent));
  sv.on_build = (element) => {
    form.answer(element);
    const details = element.querySelector("details");
    if (details) details.open = more;
  };
  sv.local.like = (sent) => send("like", sent);
  sv.local.world = () => send("world", fields());
  sv.on_dlist = (element) => element.querySelector(".drow.on")?.scrollIntoView({ block: "nearest" });
  sv.on_dopen = (element) => {
    const head = element.querySelector(".phead"), now = head ? `${head.dataset.dataset}/${head.dataset.row}` : "";
    if (now !== shown && shown.split("/")[0] !== now.split("/")[0]) element.scrollTop = 0;
    shown = now;
  };
  document.addEventListener("toggle", (e) => { if (e.target.matches?.("form.build details")) more = e.target.open; }, true);
  document.addEventListener("change", (e) => {
    if (e.target.closest("form.build") && ASKS.includes(e.target.name)) send("form", fields());
  });
  document.addEventListener("keydown", (e) => {
    if (e.key === "Enter" && e.target.matches?.("form.build input.field:not([name=name])")) { e.preventDefault(); e.target.blur(); }
  });

  document.addEventListener("click", (e) => {
    if (e.target.closest("a[data-download]")) { sv.toast("The file is being written; your browser saves it when it is whole."); return; }
    if (e.ctrlKey || e.metaKey || e.shiftKey || e.button) return;
    const link = e.target.closest("a[data-dataset]");
    if (!link || !document.getElementById("dsets")) return;
    e.preventDefault();
    history.pushState(null, "", link.getAttribute("href"));
    sv.act("start" in link.dataset ? "rows" : "look");
    if ("start" in link.dataset) $("#dopen .rhead")?.scrollIntoView({ block: "start" });
  });
  addEventListener("popstate", () => sv.act("look"));
  sv.on_run = (id) => history.replaceState(null, "", "?run=" + id);
  sv.act("open");
})();
