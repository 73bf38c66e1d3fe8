import { afterEach, expect, test } from '@jest/globals';
import { pollution } from '../src/index.js';

afterEach(() => void Reflect.deleteProperty(Object.prototype, 'polluted'));

test('what all objects inherit is watched', () => {
  expect(pollution()).toEqual([]);
  Reflect.set(Object.prototype, 'polluted', true);
  expect(pollution()).toEqual(['Object.polluted true boolean']);
});
