import type { ClusterRow, CompromiseRow } from './rows.js';
import type { Tables } from './tables.js';

/**
 * What a recovery notes of a step that begins with this entry. Nothing counts while a node is still
 * there that is to go: it would get what is made anew.
 */
export function noteStep(
  tables: Tables,
  cluster: ClusterRow,
  begun: Partial<CompromiseRow>,
): Pick<ClusterRow, 'compromise'> {
  const { compromise } = cluster;
  const isEarly = compromise?.evicted.some(({ id }) => tables.nodes.has(id)) ?? true;
  return { compromise: compromise && (isEarly ? compromise : { ...compromise, ...begun }) };
}
