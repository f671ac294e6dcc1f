import { defineConfig } from "vitest/config";

// The built files are committed and embedded into the program, so their names carry no hash, and the order of
// modules must not depend on the machine.
export default defineConfig({
  build: {
    outDir: "dist",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: false,
    cssCodeSplit: false,
    chunkSizeWarningLimit: 400,
    rollupOptions: {
      output: {
        entryFileNames: "studio.js",
        assetFileNames: (file) => (file.names.some((name) => name.endsWith(".css")) ? "studio.css" : "[name][extname]"),
      },
    },
  },
  server: { proxy: { "/api": "http://127.0.0.1:8010" } },
  // One of the tests paints thousands of pixels one by one, beside builds that take the processor.
  test: { include: ["test/**/*.test.ts"], testTimeout: 60_000 },
});
