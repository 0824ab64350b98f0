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
    // A part that asks again and again stays as it is, and asks again.
    const isLive = event.detail.requestConfig?.elt?.hasAttribute("data-live");
    if (status >= 400 && status < 500 && status !== 404 && !isLive) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    }
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

  // <form data-send-at-once>: what a script may send for the person who followed a link.
  document.querySelector("form[data-send-at-once]")?.requestSubmit();

  // [data-upload]: files are sent as soon as they are chosen.
  const tellUpload = (part, text) => {
    const line = document.createElement("p");
    line.className = "why";
    line.setAttribute("role", "alert");
    line.textContent = text;
    part.querySelector(".upload-result").replaceChildren(line);
  };
  const markBusy = (part, isBusy) => {
    part.querySelector("progress").hidden = !isBusy;
    for (const button of part.closest("form")?.querySelectorAll("[type=submit]") ?? []) {
      button.disabled = isBusy;
    }
  };
  document.addEventListener("htmx:beforeRequest", (event) => {
    const part = event.target.closest?.("[data-upload]");
    if (!part) return;
    const { files, dataset } = event.target;
    const size = [...files].reduce((sum, file) => sum + file.size, 0);
    let problem = "";
    if (!files.length) problem = "Nothing was chosen: a folder must hold at least one file.";
    else if (files.length > Number(dataset.maxFiles)) problem = `These are ${files.length.toLocaleString("en")} files; at most ${Number(dataset.maxFiles).toLocaleString("en")} can be sent at once.`;
    else if (size > Number(dataset.maxBytes)) problem = `These are ${size.toLocaleString("en")} bytes; at most ${Number(dataset.maxBytes).toLocaleString("en")} can be sent at once.`;
    if (problem) {
      event.preventDefault();
      tellUpload(part, problem);
      return;
    }
    part.querySelector("progress").value = 0;
    part.querySelector(".upload-result").replaceChildren();
    markBusy(part, true);
  });
  document.addEventListener("htmx:xhr:progress", (event) => {
    const bar = event.target.closest?.("[data-upload]")?.querySelector("progress");
    if (bar && event.detail.lengthComputable) bar.value = (100 * event.detail.loaded) / event.detail.total;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const part = event.target.closest?.("[data-upload]");
    if (!part) return;
    markBusy(part, false);
    const xhr = event.detail.xhr;
    if (!xhr.status) tellUpload(part, "The server broke the upload off: try again, or send less at once.");
    else if (xhr.status >= 400 && !xhr.getResponseHeader("Content-Type")?.startsWith("text/html")) {
      let text = "The upload failed.";
      try { text = JSON.parse(xhr.responseText).error.message; } catch { /* not ours */ }
      tellUpload(part, text);
    } else if (xhr.status >= 500) tellUpload(part, "The upload failed: see the server's log.");
  });

  // <details id>: stays open when the part around it is replaced.
  let opened = [];
  document.addEventListener("htmx:beforeSwap", () => {
    opened = [...document.querySelectorAll("details[id][open]")].map((part) => part.id);
  });
  document.addEventListener("htmx:afterSwap", () => {
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  });

  // [data-follows]: stays at its end while the reader is there.
  for (const box of document.querySelectorAll("[data-follows]")) box.scrollTop = box.scrollHeight;
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

  // [data-roving]: many links as one stop of the Tab key; arrows, Home and End lead through them.
  const stopAt = (box, link) => {
    for (const other of box.children) other.tabIndex = other === link ? 0 : -1;
  };
  const setStops = (scope) => {
    const boxes = scope.matches?.("[data-roving]") ? [scope] : scope.querySelectorAll("[data-roving]");
    for (const box of boxes) {
      const focused = box.contains(document.activeElement) ? document.activeElement : null;
      stopAt(box, focused ?? box.querySelector("[aria-current]") ?? box.firstElementChild);
    }
  };
  document.addEventListener("keydown", (event) => {
    const box = event.target.closest?.("[data-roving]");
    if (!box || event.altKey || event.ctrlKey || event.metaKey) return;
    const links = [...box.children];
    const at = links.indexOf(event.target);
    const row = links.filter((link) => link.offsetTop === links[0].offsetTop).length;
    const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: row, ArrowUp: -row };
    const to = event.key === "Home" ? 0 : event.key === "End" ? links.length - 1 : at + (steps[event.key] ?? NaN);
    if (Number.isNaN(to) || at < 0) return;
    event.preventDefault();
    const link = links[Math.min(Math.max(to, 0), links.length - 1)];
    stopAt(box, link);
    link.focus();
  });
  document.addEventListener("htmx:afterSettle", (event) => {
    setStops(event.detail.elt);
    // [data-reveal]: what was asked for is brought into view.
    event.detail.elt.querySelector?.("[data-reveal]")?.scrollIntoView({ block: "nearest" });
  });
  setStops(document);

  // What was chosen is marked at once; the panel that it opens comes a moment later.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("[data-roving] > a");
    if (!link) return;
    for (const other of link.parentElement.children) other.removeAttribute("aria-current");
    link.setAttribute("aria-current", "true");
    stopAt(link.parentElement, link);
  });

  // A form is sent once, however often its button is pressed.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.getAttribute("method") !== "post") return;
    if (form.dataset.sent) event.preventDefault();
    form.dataset.sent = "true";
    setTimeout(() => { delete form.dataset.sent; }, 3000);
  });
})();
