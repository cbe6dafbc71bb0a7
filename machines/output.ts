/** What a session's document says of where its events go, as the effects need it. */
import type { SessionDocument } from './document.ts';
import type { Plan } from './stream.ts';

/** Empty: the session writes nothing by itself. */
export const outputPathOf = ({ output }: SessionDocument): string => (output.kind === 'local' ? output.path : '');

/** Without an output the rings keep what they hold, for snapshots; what does not fit is lost as the channel says. */
export const planOf = ({ output }: SessionDocument): Plan => (output.kind === 'local' ? 'append' : 'hold');
