import js from "@eslint/js";
import ts from "typescript-eslint";

const shared = ["performance", "document", "requestAnimationFrame", "PointerEvent", "innerWidth", "globalThis", "DataTransfer", "DragEvent", "File", "dispatchEvent"];
const node = ["process", "console", "fetch", "URL", "Buffer", "setTimeout"];

export default ts.config(
  { ignores: ["dist/", "node_modules/", "e2e/.pictures/"] },
  js.configs.recommended,
  ...ts.configs.strict,
  {
    rules: {
      eqeqeq: "error",
      "no-console": "error",
      // Indices of typed arrays are checked by the algorithms, not by the type.
      "@typescript-eslint/no-non-null-assertion": "off",
    },
  },
  {
    // Tests in Node, with functions that run in the page.
    files: ["e2e/**"],
    languageOptions: { globals: Object.fromEntries([...shared, ...node].map((name) => [name, "readonly"])) },
    rules: { "no-console": "off" },
  },
);
