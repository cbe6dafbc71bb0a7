/** The tiers of DESIGN 12 and their time. What a tier consists of is looked up when it begins: building may add to it. */
import { execFileSync } from 'node:child_process';
import { join, relative } from 'node:path';
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

const nativeSteps = (root: string, settings: readonly string[], wanted: (program: string) => boolean = () => true): Step[] => {
  const programs = nativePrograms(root, settings).filter(wanted);
  const targets = programs.map((program) => relative(join(root, 'native'), program));
  const build = ['-s', '-j2', '-C', 'native', ...settings, ...targets];
  return [commandStep(`native tests build ${settings.join(' ')}`.trim(), 'make', build), ...programs.map(nativeStep)];
};

/**
 * Each is killed or interrupted, or lives through kills, some thousand times, or holds a reader against a writer at full rate: that shows
 * what it shows without the sanitizer of addresses, under which no reader keeps up.
 */
const DEATHS = /\/(chunk_death|reader_death|chunk_thread|preempted)_test$/;
/** Where threads meet; the others have one. */
const THREADS =
  /\/(unix_socket|reader_thread|chunk_thread|snapshot|registry|filtered|threads|record|watch|count|blocking|registration)_test$/;

/** qemu-user has no rseq: what runs there is the lock mode. */
const aarch64Step = commandStep('lock mode on aarch64, under qemu-user (which has no rseq)', 'make', [
  '-s',
  '-C',
  'native',
  'aarch64-check',
]);

const staticTier = (root: string): Tier => ({
  name: 'static',
  budgetS: 30,
  parallel: 1,
  steps: () => [
    commandStep('types: tsc finds nothing', process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', root]),
    commandStep('lint: biome finds nothing', join(root, 'node_modules/.bin/biome'), ['check', '--error-on-warnings', root]),
  ],
});

/** Seconds of fuzzing in one run; it is a check that the target works, not the search itself. */
const FUZZ_S = process.env.WEFT_SOAK ? 300 : 10;

const killTier = (root: string): Tier => ({
  name: 'kill',
  budgetS: 220,
  parallel: 1,
  steps: () => [
    ...testFiles(root, ['test/kill', 'test/hostile']).map((file) => nodeTestStep(file, root)),
    commandStep('kill points build', 'make', ['-s', '-C', 'native', 'build/test/kill_points_test']),
    nativeStep(join(root, 'native/build/test/kill_points_test')),
    commandStep('the fuzzers build', 'make', ['-s', '-C', 'native', 'fuzz']),
    commandStep('the fuzzer of the ring reader finds nothing', join(root, 'native/build/fuzz/reader_fuzz'), [
      `-max_total_time=${FUZZ_S}`,
      '-verbosity=0',
    ]),
    commandStep('the fuzzer of filters finds nothing', join(root, 'native/build/fuzz/filter_fuzz'), [
      `-max_total_time=${FUZZ_S}`,
      '-verbosity=0',
    ]),
  ],
});

export const tiersOf = (root: string): Tier[] => [
  staticTier(root),
  nodeTier(root, 'unit', 65, ['test/unit', 'test/contract'], 2),
  { name: 'native', budgetS: 110, parallel: 1, steps: () => [...nativeSteps(root, []), aarch64Step] },
  nodeTier(root, 'model', 80, ['test/model']),
  nodeTier(root, 'simulation', 135, ['test/simulation']),
  {
    name: 'sanitizers',
    budgetS: 265,
    parallel: 1,
    steps: () => [
      ...nativeSteps(root, ['SANITIZE=address,undefined'], (program) => !!process.env.WEFT_SOAK || !DEATHS.test(program)),
      ...nativeSteps(root, ['SANITIZE=thread'], (program) => !!process.env.WEFT_SOAK || THREADS.test(program)),
    ],
  },
  nodeTier(root, 'e2e', 165, ['test/e2e'], 2),
  nodeTier(root, 'compat', 55, ['test/compat']),
  killTier(root),
  nodeTier(root, 'users', 25, ['test/users']),
  nodeTier(root, 'hosts', 290, ['test/hosts'], 2),
];
