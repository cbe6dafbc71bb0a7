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

type Wanted = (program: string) => boolean;

const nativeBuild = (root: string, settings: readonly string[], wanted: Wanted = () => true): Step => {
  const targets = nativePrograms(root, settings)
    .filter(wanted)
    .map((program) => relative(join(root, 'native'), program));
  const words = ['-s', '-j2', '-C', 'native', ...settings, ...targets];
  return commandStep(`native tests build ${settings.join(' ')}`.trim(), 'make', words);
};

const nativeTests = (root: string, settings: readonly string[], wanted: Wanted = () => true): Step[] =>
  nativePrograms(root, settings).filter(wanted).map(nativeStep);

/**
 * Each is killed or interrupted, or lives through kills, some thousand times, or holds a reader against a writer at full rate: that shows
 * what it shows without the sanitizer of addresses, under which no reader keeps up.
 */
const DEATHS = /\/(chunk_death|reader_death|chunk_thread|preempted)_test$/;
/** Where threads meet; the others have one. */
const THREADS =
  /\/(unix_socket|reader_thread|chunk_thread|snapshot|registry|filtered|threads|record|watch|count|blocking|registration)_test$/;

interface Sanitized {
  readonly settings: readonly string[];
  readonly wanted: Wanted;
}

const ADDRESSES: Sanitized = {
  settings: ['SANITIZE=address,undefined'],
  wanted: (program) => !!process.env.WEFT_SOAK || !DEATHS.test(program),
};
const RACES: Sanitized = {
  settings: ['SANITIZE=thread'],
  wanted: (program) => !!process.env.WEFT_SOAK || THREADS.test(program),
};

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

const fuzzStep = (root: string, name: string, program: string): Step =>
  commandStep(name, join(root, 'native/build/fuzz', program), [`-max_total_time=${FUZZ_S}`, '-verbosity=0']);

/** What the tiers behind it run. */
const builtTier = (root: string): Tier => ({
  name: 'built',
  budgetS: 130,
  parallel: 1,
  steps: () => [
    ...[ADDRESSES, RACES].map(({ settings, wanted }) => nativeBuild(root, settings, wanted)),
    commandStep('kill points build', 'make', ['-s', '-C', 'native', 'build/test/kill_points_test']),
    commandStep('the fuzzers build', 'make', ['-s', '-C', 'native', 'fuzz']),
  ],
});

/** Nothing in it measures time. */
const pointsTier = (root: string): Tier => ({
  name: 'points',
  budgetS: 110,
  parallel: 2,
  steps: () => [
    nativeStep(join(root, 'native/build/test/kill_points_test')),
    fuzzStep(root, 'the fuzzer of the ring reader finds nothing', 'reader_fuzz'),
    fuzzStep(root, 'the fuzzer of filters finds nothing', 'filter_fuzz'),
  ],
});

export const tiersOf = (root: string): Tier[] => [
  staticTier(root),
  nodeTier(root, 'unit', 65, ['test/unit', 'test/contract'], 2),
  {
    name: 'native',
    budgetS: 110,
    parallel: 1,
    steps: () => [nativeBuild(root, []), ...nativeTests(root, []), aarch64Step],
  },
  nodeTier(root, 'model', 70, ['test/model'], 2),
  nodeTier(root, 'simulation', 100, ['test/simulation']),
  builtTier(root),
  {
    name: 'sanitizers',
    budgetS: 60,
    parallel: 2,
    steps: () => nativeTests(root, ADDRESSES.settings, ADDRESSES.wanted),
  },
  // Threads that spin for each other need the processors for themselves.
  { name: 'threads', budgetS: 80, parallel: 1, steps: () => nativeTests(root, RACES.settings, RACES.wanted) },
  nodeTier(root, 'e2e', 190, ['test/e2e'], 2),
  nodeTier(root, 'compat', 60, ['test/compat']),
  pointsTier(root),
  nodeTier(root, 'kill', 160, ['test/kill', 'test/hostile'], 2),
  nodeTier(root, 'users', 35, ['test/users']),
  nodeTier(root, 'hosts', 240, ['test/hosts'], 2),
];
