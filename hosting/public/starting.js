// A script of the old kind, which runs even if the page's modules or libraries cannot be loaded, and says so.

addEventListener(
  "error",
  ({ target }) => {
    if (!(target instanceof HTMLScriptElement)) return;
    document.querySelector("main").textContent = "This page could not be loaded. Check the connection and reload it.";
  },
  true,
);
