/** `--mi xml`: what every command wraps its output in. */
import { UsageError } from '../options.ts';
import { type Element, element, serialize } from './xml.ts';

const NAMESPACE = 'https://lttng.org/xml/ns/lttng-mi';
const VERSION = '4.3';

/** Commands whose name in the document is another one. */
const NAMES: Readonly<Record<string, string>> = { 'list-triggers': 'list-trigger', status: 'list' };

/** Only the first three letters count. */
export const checkMachineInterface = (type: string): void => {
  if (type.slice(0, 3).toLowerCase() === 'xml') return;
  throw new UsageError(`Machine interface type ${type} is not known: xml is`);
};

export const machineDocument = (command: string, output: readonly Element[], success: boolean): string => {
  const root = element('command', [
    element('name', NAMES[command] ?? command),
    element('output', output),
    element('success', success),
  ]);
  const attributes = {
    xmlns: NAMESPACE,
    'xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
    'xsi:schemaLocation': `${NAMESPACE} https://lttng.org/xml/schemas/lttng-mi/4/lttng-mi-${VERSION}.xsd`,
    schemaVersion: VERSION,
  };
  return `<?xml version="1.0" encoding="UTF-8"?>\n${serialize({ ...root, attributes })}`;
};
