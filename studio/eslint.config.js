import js from "@eslint/js";
import ts from "typescript-eslint";

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
);
