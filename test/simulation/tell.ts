/** `tell.ts SEED COUNT [FAULT]`: tells COUNT histories from SEED on; prints as JSON how they ended. With a fault it stops at the first that breaks. */
import { type DeclaredTransition, declaredStates, declaredTransitions } from '../support/machine-transitions.ts';
import { History } from './history.ts';
import { check } from './invariants.ts';

export interface Told {
  readonly histories: number;
  readonly broken: readonly { readonly seed: number; readonly text: string }[];
}

const BROKEN_MAX = 3;

/** `transition STATE EVENT` takes the first such transition out of its machine, `guard STATE EVENT` only its guard. */
const plant = (fault: string): void => {
  const [kind, state, ...event] = fault.split(' ');
  const meant = ({ state: of, event: on }: DeclaredTransition): boolean => of === state && on === event.join(' ');
  const transition = declaredTransitions().find(meant);
  if (!transition) throw new Error(`no such transition: ${fault}; states: ${declaredStates().map(({ id }) => id)}`);
  if (kind === 'transition') transition.remove();
  else transition.removeGuard();
};

const tell = async (seed: number): Promise<string | null> => {
  const history = new History(seed);
  try {
    await history.run();
    await check(history);
    return null;
  } catch (thrown) {
    const what = thrown instanceof Error ? thrown.message : String(thrown);
    return `history ${seed}: ${what}\n  ${history.steps.join('\n  ')}\n  ${history.world.logs.slice(-30).join('\n  ')}`;
  } finally {
    history.world.end();
  }
};

const [first = 0, count = 1] = process.argv.slice(2, 4).map(Number);
const fault = process.argv[4];
if (fault !== undefined) plant(fault);
const enough = fault === undefined ? BROKEN_MAX : 1;
const broken: Told['broken'][number][] = [];
let histories = 0;
while (histories < count && broken.length < enough) {
  const seed = first + histories++;
  const text = await tell(seed);
  if (text !== null) broken.push({ seed, text });
}
console.log(JSON.stringify({ histories, broken } satisfies Told));
