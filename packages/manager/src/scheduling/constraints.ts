import type { NodeRow } from '@conclave/state';

/** A placement constraint in parts. */
export interface Constraint {
  readonly attribute: 'node.id' | 'node.hostname' | 'node.role' | 'node.platform.os' | 'label';
  /** Only with `label`. */
  readonly labelKey: string;
  readonly isEqual: boolean;
  /** Compared byte for byte: no wildcard, no case folding. */
  readonly value: string;
  /** The one form in which it is kept and shown: `node.labels.zone==a`. */
  readonly text: string;
}

const PATTERN = /^([^\s=!]+)\s*(==|!=)\s*([^]+)$/;
const ATTRIBUTES: Readonly<Record<string, Constraint['attribute']>> = {
  'node.id': 'node.id',
  id: 'node.id',
  'node.hostname': 'node.hostname',
  hostname: 'node.hostname',
  'node.role': 'node.role',
  role: 'node.role',
  'node.platform.os': 'node.platform.os',
  'platform.os': 'node.platform.os',
};
const LABEL_PREFIXES = ['node.labels.', 'labels.'];

/** What a constraint may ask for, as errors name it. */
export const CONSTRAINT_ATTRIBUTES =
  'node.id, node.hostname, node.role, node.platform.os, node.labels.KEY';

/**
 * Reads `node.hostname==alpha`, `node.labels.zone != a` and the like; `node.` may be left out.
 * @returns `undefined` for any other form
 */
export function parseConstraint(text: string): Constraint | undefined {
  const parts = PATTERN.exec(text.trim());
  const [, name, operator, value] = parts ?? [];
  if (name === undefined || operator === undefined || value === undefined) return undefined;
  const isEqual = operator === '==';
  const labelKey = labelKeyOf(name);
  if (labelKey !== undefined) {
    if (labelKey.length === 0) return undefined;
    const shown = `node.labels.${labelKey}${operator}${value}`;
    return { attribute: 'label', labelKey, isEqual, value, text: shown };
  }
  if (!Object.hasOwn(ATTRIBUTES, name)) return undefined;
  const attribute = ATTRIBUTES[name];
  if (attribute === undefined) return undefined;
  return { attribute, labelKey: '', isEqual, value, text: `${attribute}${operator}${value}` };
}

function labelKeyOf(name: string): string | undefined {
  const prefix = LABEL_PREFIXES.find((candidate) => name.startsWith(candidate));
  return prefix === undefined ? undefined : name.slice(prefix.length);
}

/** True when the node satisfies the constraint. A label that is missing satisfies only `!=`. */
export function satisfies(node: NodeRow, constraint: Constraint): boolean {
  return (attributeOf(node, constraint) === constraint.value) === constraint.isEqual;
}

function attributeOf(node: NodeRow, constraint: Constraint): string | undefined {
  switch (constraint.attribute) {
    case 'node.id':
      return node.id;
    case 'node.hostname':
      return node.hostname;
    case 'node.role':
      return node.role;
    case 'node.platform.os':
      return node.platformOs;
    case 'label':
      return Object.hasOwn(node.labels, constraint.labelKey)
        ? node.labels[constraint.labelKey]
        : undefined;
  }
}

/**
 * The constraints of a checked spec in parts. A text that does not parse (a spec of a newer version)
 * becomes one that no node satisfies, so that nothing is placed where it may not be.
 */
export function parseConstraints(texts: readonly string[]): Constraint[] {
  return texts.map((text) => parseConstraint(text) ?? impossible(text));
}

function impossible(text: string): Constraint {
  return { attribute: 'node.id', labelKey: '', isEqual: true, value: '', text };
}
