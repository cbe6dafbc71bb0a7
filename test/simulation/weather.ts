/** What the bus does to messages: delays that let later ones overtake, loss, and delivery twice. */
import type { Chance } from './chance.ts';

export interface Weather {
  readonly loss: number;
  readonly twice: number;
  /** Of a message being late, and by how many milliseconds at most. */
  readonly late: number;
  readonly lateMs: number;
}

export const CALM: Weather = { loss: 0, twice: 0, late: 0, lateMs: 0 };

/** Most histories have some of everything; some are calm but for the kills. */
export const weatherOf = (chance: Chance): Weather =>
  chance.often(0.2)
    ? CALM
    : {
        loss: chance.of([0, 0.01, 0.05]),
        twice: chance.of([0, 0.02, 0.1]),
        late: chance.of([0, 0.1, 0.5]),
        lateMs: chance.of([5, 100, 3_000]),
      };

/** Delivers, or does not, now or when `after` says so. */
export const deliverIn =
  (weather: () => Weather, chance: Chance, after: (ms: number, task: () => void) => void) =>
  (task: () => void): void => {
    const { loss, twice, late, lateMs } = weather();
    const send = (): void => {
      if (chance.often(late)) after(chance.below(lateMs) + 1, task);
      else queueMicrotask(task);
    };
    if (chance.often(loss)) return;
    send();
    if (chance.often(twice)) send();
  };
