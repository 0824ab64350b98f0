// Before anything is drawn, so that a page does not flash in the other colours.
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch { /* the browser keeps nothing: its own preference holds */ }
})();
