/**
 * `npm run build`: one program in `dist/`. What a command loads only when it is called (`await import()`) is a file of its own:
 * `status` does not read the code of a mount, and no command but `sandbox` reads that of the sandbox.
 */
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'rolldown';

const program = { syncmount: 'src/cli/main.ts' };

/** Each runs in a thread of its own and is one file, which src/threads/lazy-thread.ts reads long before the thread starts. */
const workers = ['hash-worker', 'exchange-worker'];

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
  const common = {
    cwd: resolve(dirname(fileURLToPath(import.meta.url)), '..'),
    platform: 'node',
    // It finds its compiled addon beside its own files.
    external: ['better-sqlite3'],
  };
  const { output } = await build({
    ...common,
    input: isPackage ? program : { ...program, ...forScripts },
    output: {
      dir,
      cleanDir: true,
      format: 'esm',
      sourcemap: !isPackage,
      entryFileNames: '[name].js',
      chunkFileNames: '[name].js',
    },
  });
  const outputs = [output];
  for (const name of workers) {
    const input = { [name]: `src/threads/${name}.ts` };
    // A program that is given as text is CommonJS (`eval` of node:worker_threads).
    const made = await build({ ...common, input, output: { dir, format: 'cjs', entryFileNames: '[name].cjs' } });
    if (made.output.length > 1) throw new Error(`${name} must be one file`);
    outputs.push(made.output);
  }
  return outputs.flat().flatMap(({ moduleIds = [] }) => moduleIds);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await bundle('dist');
