// What pages need beyond links, forms and htmx. Everything hangs on data- attributes.
(() => {
  const root = document.documentElement;

  const token = () => document.querySelector('meta[name="csrf-token"]')?.content ?? "";

  const isDark = () =>
    root.dataset.theme
      ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;

  document.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRF-Token"] = token();
  });

  // Answers with an error hold what to show, so they are swapped in too.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const status = event.detail.xhr.status;
    if (status >= 400 && status < 500 && status !== 404) event.detail.shouldSwap = true;
  });

  document.addEventListener("click", async (event) => {
    const target = event.target.closest("[data-theme-switch], [data-copy]");
    if (!target) return;
    if ("themeSwitch" in target.dataset) {
      root.dataset.theme = isDark() ? "light" : "dark";
      try { localStorage.setItem("theme", root.dataset.theme); } catch { /* not kept */ }
      return;
    }
    try {
      await navigator.clipboard.writeText(target.dataset.copy);
      const label = target.textContent;
      target.textContent = "Copied";
      setTimeout(() => { target.textContent = label; }, 1500);
    } catch { /* the text can still be selected */ }
  });

  // <select data-shows="NAME">: shows the [data-when="NAME=value ..."] parts that fit its value.
  const show = (chooser) => {
    const name = chooser.dataset.shows;
    for (const part of document.querySelectorAll(`[data-when^="${name}="]`)) {
      const values = part.dataset.when.slice(name.length + 1).split(" ");
      part.hidden = !values.includes(chooser.type === "checkbox" ? String(chooser.checked) : chooser.value);
    }
  };
  const showAll = (scope) => {
    for (const chooser of scope.querySelectorAll("[data-shows]")) {
      if (chooser.type !== "radio" || chooser.checked) show(chooser);
    }
  };
  document.addEventListener("change", (event) => {
    if (event.target.matches?.("[data-shows]")) show(event.target);
  });
  document.addEventListener("htmx:load", (event) => showAll(event.detail.elt));
  showAll(document);

  // [data-follows]: stays at its end while the reader is there.
  document.addEventListener("htmx:beforeSwap", () => {
    for (const box of document.querySelectorAll("[data-follows]")) {
      box.dataset.atEnd = String(box.scrollHeight - box.scrollTop - box.clientHeight < 40);
    }
  });
  document.addEventListener("htmx:afterSettle", () => {
    for (const box of document.querySelectorAll("[data-follows]")) {
      if (box.dataset.atEnd !== "false") box.scrollTop = box.scrollHeight;
    }
  });
})();
