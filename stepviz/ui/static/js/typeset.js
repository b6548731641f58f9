// KaTeX on the spans that the server marked (see mathtext.py). A formula KaTeX cannot read stays as its source.
stepviz.typeset = (root) => {
  for (const span of root.querySelectorAll(".tex:not([data-done]):not(.insp .tex)")) {
    const source = span.textContent, k = +span.dataset.k;
    span.dataset.done = "";
    try {
      katex.render(source.slice(k, source.length - k), span, {
        displayMode: "d" in span.dataset, throwOnError: true, trust: false, strict: "ignore", maxSize: 12, maxExpand: 300,
      });
    } catch { span.textContent = source; }
  }
};
