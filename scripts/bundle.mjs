/**
 * `npm run build`: one program in `dist/`. What a command loads only when it is called (`await import()`) is a file of its own:
 * `status` does not read the code of a mount, and no command but `sandbox` reads that of the sandbox.
 */
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const program = {
  syncmount: 'src/cli/main.ts',
  // Each runs in a thread of its own: see hash-thread.ts and exchange-thread.ts beside it.
  'hash-worker': 'src/threads/hash-worker.ts',
  'exchange-worker': 'src/threads/exchange-worker.ts',
};

const forScripts = {
  // For scripts/options-doc.mjs.
  options: 'src/config/options.ts',
  // For scripts/man-pages.mjs.
  manual: 'src/cli/manual.ts',
  program: 'src/cli/program.ts',
  // For scripts/packaging/debian-package.mjs.
  'service-unit': 'src/cli/service-unit.ts',
};

/** Answers the paths of all files that went into it. `isPackage`: without what only scripts and debuggers need. */
export async function bundle(dir, isPackage = false) {
  const { output } = await build({
    cwd: resolve(dirname(fileURLToPath(import.meta.url)), '..'),
    input: isPackage ? program : { ...program, ...forScripts },
    platform: 'node',
    // It finds its compiled addon beside its own files.
    external: ['better-sqlite3'],
    output: {
      dir,
      cleanDir: true,
      format: 'esm',
      sourcemap: !isPackage,
      entryFileNames: '[name].js',
      chunkFileNames: '[name].js',
    },
  });
  return output.flatMap(({ moduleIds = [] }) => moduleIds);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle('dist');
