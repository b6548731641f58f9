// What a person types stays: an answer fills a form in, but not the fields that were touched since it was asked for.
// The form has a hidden field `serial`: which request it answers. Options of a choice that was left are not kept: they
// lie in `.own`, and `of` names the choice.
(() => {
  const sv = window.stepviz;
  // selector: the form; ask(fields): sends it again, where an answer was overtaken by a later one's.
  sv.form ??= (selector, ask) => {
    let asked = 0, answered = 0, typed = [], last = {}; // last: the fields as they stood, to be sent again
    const ofNow = (e) => (e.closest(".own") ? (e.form?.querySelector("[name=of]")?.value ?? "") : null);
    const put = (fields, e) => {
      if (e.type === "checkbox" && !e.checked) delete fields[e.name];
      else if (e.type !== "radio" || e.checked) fields[e.name] = e.value;
    };
    const note = ({ target: e }) => {
      if (!e.name || !e.closest?.(selector)) return;
      const before = typed.findLast((t) => t.name === e.name);
      if (before && before.value === e.value && before.checked === e.checked) return; // a field that new HTML takes away says "change" once more
      typed = typed.filter((t) => t.name !== e.name || t.after !== asked);
      typed.push({ after: asked, name: e.name, value: e.value, checked: e.checked, of: ofNow(e) });
      put(last, e);
    };
    document.addEventListener("input", note);
    document.addEventListener("change", note);
    const fill = (e) => { // the server's word is in the attributes
      if (e.type === "checkbox" || e.type === "radio") e.checked = e.hasAttribute("checked");
      else if (e.tagName === "SELECT") e.value = (e.querySelector("option[selected]") ?? e.options[0])?.value ?? "";
      else e.value = e.getAttribute("value") ?? "";
    };
    const again = (e, { value, checked }) => {
      if (e.type === "radio") e.checked = e.value === value;
      else if (e.type === "checkbox") e.checked = checked;
      else if (e.tagName !== "SELECT" || [...e.options].some((o) => o.value === value)) e.value = value;
    };
    return {
      next: () => String(++asked),
      /** After new HTML: the form as the server says and the person wants it. */
      answer(element) {
        const fields = [...element.querySelectorAll("input[name], select[name], textarea[name]")];
        fields.forEach(fill);
        const to = +(element.querySelector("[name=serial]")?.value ?? 0);
        if (to < answered) { // of a request from before the one that was answered last
          for (const e of fields) if (e.name in last && e.name !== "serial") again(e, { value: last[e.name], checked: true });
          ask({ ...last });
          return;
        }
        answered = to;
        const of = element.querySelector("[name=of]")?.value ?? "";
        typed = typed.filter((t) => t.after >= to && (t.of === null || t.of === of));
        for (const t of typed) for (const e of fields) if (e.name === t.name && t.of === ofNow(e)) again(e, t);
        last = {};
        for (const e of fields) put(last, e);
      },
    };
  };
})();
