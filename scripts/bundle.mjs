/**
 * `npm run build`: one program in `dist/`. What a command loads only when it is called (`await import()`) is a file of its own:
 * `status` does not read the code of a mount, and no command but `sandbox` reads that of the sandbox.
 */
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

await build({
  cwd: resolve(dirname(fileURLToPath(import.meta.url)), '..'),
  input: {
    syncmount: 'src/cli/main.ts',
    // Each runs in a thread of its own: see hash-thread.ts and exchange-thread.ts beside it.
    'hash-worker': 'src/threads/hash-worker.ts',
    'exchange-worker': 'src/threads/exchange-worker.ts',
    // For scripts/options-doc.mjs.
    options: 'src/config/options.ts',
    // For scripts/man-pages.mjs.
    manual: 'src/cli/manual.ts',
    program: 'src/cli/program.ts',
  },
  platform: 'node',
  // It finds its compiled addon beside its own files.
  external: ['better-sqlite3'],
  output: {
    dir: 'dist',
    cleanDir: true,
    format: 'esm',
    sourcemap: true,
    entryFileNames: '[name].js',
    chunkFileNames: '[name].js',
  },
});
