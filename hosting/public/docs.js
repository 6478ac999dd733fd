// Shows the API's own description, openapi.yaml, with Swagger UI, for reading.

const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", follow);
follow();

SwaggerUIBundle({
  domNode: document.querySelector("#reference"),
  url: "/api/openapi",
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  supportedSubmitMethods: [],
  // This page has a main part already.
  onComplete: () => document.querySelector("#reference main")?.setAttribute("role", "group"),
});
