/** The tiers of DESIGN 12 and their time. What a tier consists of is looked up when it begins: building may add to it. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { commandStep, nativeStep, nodeTestStep, type Step, testFiles } from './steps.ts';

export interface Tier {
  readonly name: string;
  readonly budgetS: number;
  /** Test files that run at once. Only for tests that measure nothing. */
  readonly parallel: number;
  steps(): Step[];
}

const nodeTier = (root: string, name: string, budgetS: number, folders: readonly string[], parallel = 1): Tier => ({
  name,
  budgetS,
  parallel,
  steps: () => testFiles(root, folders).map((file) => nodeTestStep(file, root)),
});

const nativePrograms = (root: string, settings: readonly string[]): string[] =>
  execFileSync('make', ['-s', '-C', 'native', ...settings, 'list-tests'], { cwd: root, encoding: 'utf8' })
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((program) => join(root, 'native', program));

const nativeSteps = (root: string, settings: readonly string[]): Step[] => [
  commandStep(`native tests build ${settings.join(' ')}`.trim(), 'make', ['-s', '-j2', '-C', 'native', ...settings, 'tests']),
  ...nativePrograms(root, settings).map(nativeStep),
];

const staticTier = (root: string): Tier => ({
  name: 'static',
  budgetS: 45,
  parallel: 1,
  steps: () => [
    commandStep('types: tsc finds nothing', process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', root]),
    commandStep('lint: biome finds nothing', join(root, 'node_modules/.bin/biome'), ['check', '--error-on-warnings', root]),
  ],
});

export const tiersOf = (root: string): Tier[] => [
  staticTier(root),
  nodeTier(root, 'unit', 75, ['test/unit', 'test/contract'], 2),
  { name: 'native', budgetS: 75, parallel: 1, steps: () => nativeSteps(root, []) },
  nodeTier(root, 'model', 45, ['test/model']),
  {
    name: 'sanitizers',
    budgetS: 240,
    parallel: 1,
    steps: () => ['address,undefined', 'thread'].flatMap((kind) => nativeSteps(root, [`SANITIZE=${kind}`])),
  },
  nodeTier(root, 'simulation', 180, ['test/simulation']),
  nodeTier(root, 'e2e', 120, ['test/e2e']),
  nodeTier(root, 'compat', 120, ['test/compat']),
  nodeTier(root, 'kill', 180, ['test/kill', 'test/hostile', 'test/fuzz']),
  nodeTier(root, 'users', 120, ['test/users', 'test/hosts']),
];
