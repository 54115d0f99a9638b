// What our scripts in the browser share: making nodes, and looking as the chat does. A text becomes a text node, never
// HTML.

// An element: attributes by name, listeners as "onclick"; what is null, undefined or false is left out, among the
// children "" as well, and lists of children may lie in one another.
export function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((one) => one || one === 0));
  return node;
}

// A line drawing of 24 by 24, from one path.
export function drawing(path, attributes) {
  const [svg, line] = ["svg", "path"].map((name) => document.createElementNS("http://www.w3.org/2000/svg", name));
  for (const [key, value] of Object.entries({ viewBox: "0 0 24 24", ...attributes })) svg.setAttribute(key, value);
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

// Attributes of a link that leads away from us.
export const outside = { target: "_blank", rel: "noopener noreferrer nofollow" };

// A page of our own is light or dark as the chat is, where Chainlit keeps the person's choice.
export function takeTheme() {
  let theme = null;
  try { theme = localStorage.getItem("vite-ui-theme"); } catch { /* no storage: the light one */ }
  const dark = theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.classList.toggle("dark", dark);
}
