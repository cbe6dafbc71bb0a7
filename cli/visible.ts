/** Text for people. What hosts, programs and traces say may have characters in it that a terminal obeys: they are shown, not sent. */
import { CONTROL_CHARACTERS } from '../rules/control-characters.ts';
import { COLOURS } from './style.ts';

const CONTROL = new RegExp(`[${CONTROL_CHARACTERS}]`, 'g');
const OWN = `\\u001b\\[(?:0|${Object.values(COLOURS).join('|')})m`;
const IN_LINES = new RegExp(`${OWN}|[\\n\\t]|([${CONTROL_CHARACTERS}])`, 'g');

const shown = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Of a cell, a word: nothing of it may begin another line. */
export const visible = (text: string): string => text.replace(CONTROL, shown);

/** Of whole lines, which have ends, and colours of our own. */
export const visibleLines = (text: string): string =>
  text.replace(IN_LINES, (kept: string, control: string | undefined) => (control === undefined ? kept : shown(control)));
