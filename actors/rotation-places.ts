/** Where the traces of a session lie: in its output, or in the directory of a chunk below it. */
import { join } from 'node:path';
import type { Chunk, RegistryDocument, SessionDocument } from '../machines/document.ts';
import { outputPathOf } from '../machines/output.ts';
import type { StreamPlace } from './consumer-link.ts';

/** Empty: nowhere. */
export const directoryIn = (document: SessionDocument, chunk: Chunk, registry: RegistryDocument): string => {
  const output = outputPathOf(document);
  return output === '' ? '' : join(output, chunk.directory, registry.directory);
};

/** The chunk that still takes something: the current one, or the last one of a stopped session until all is out. */
const openChunkOf = ({ chunk, rotation }: SessionDocument): Chunk | null =>
  chunk ?? (rotation && !rotation.switched ? rotation.ends : null);

/** Of one ring, or of the trace as a whole. Null: nothing is written. */
export const placeOf = (document: SessionDocument, registry: RegistryDocument, ringId: string | null): StreamPlace | null => {
  const { rotation } = document;
  const chunk = openChunkOf(document);
  if (!chunk) return null;
  const place = { chunk: chunk.id, directory: directoryIn(document, chunk, registry) };
  const switches = rotation && !rotation.switched && chunk !== rotation.ends;
  if (!switches || ringId === null || !rotation.rings.includes(ringId)) return place;
  return { ...place, previous: { chunk: rotation.ends.id, directory: directoryIn(document, rotation.ends, registry) } };
};

/** Where a registry's metadata has to lie: in a chunk that is about to end too, for as long as its rings write there. */
export const directoriesOf = (document: SessionDocument, registry: RegistryDocument): readonly string[] => {
  const places = [null, ...registry.ringSets.map(({ ringId }) => ringId)].map((ringId) => placeOf(document, registry, ringId));
  const directories = places.flatMap((place) => (place ? [place.previous?.directory, place.directory] : []));
  return [...new Set(directories.filter((one): one is string => one !== undefined && one !== ''))];
};
