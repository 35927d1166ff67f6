// Runs main.ts as it is: vite, which comes with vitest, reads TypeScript.
import { runnerImport } from 'vite';

const { module } = await runnerImport('./test/load/main.ts');
process.exit(await module.main());
