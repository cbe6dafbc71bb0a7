/** The version as an element. */
import { type Element, element } from './xml.ts';

export const versionElement = (version: string, description: string, license: string): Element[] => {
  const [major = '0', minor = '0', patch = '0'] = version.split('.');
  return [
    element('version', [
      element('string', version),
      element('major', major),
      element('minor', minor),
      element('commit', ''),
      element('patchLevel', patch),
      element('name', 'Weft'),
      element('description', description),
      element('url', ''),
      element('license', license),
    ]),
  ];
};
