import { describe, expect, test } from '@jest/globals';
import { controlOf } from '../src/control-access.js';

describe('the control API of a host', () => {
  test('a host that is no member says how to become one', () => {
    expect(() => controlOf(undefined)).toThrow(
      expect.objectContaining({ code: 'CV_NOT_INITIALIZED' }),
    );
  });

  test('a worker says that managers answer', () => {
    expect(() => controlOf({ control: undefined })).toThrow(
      expect.objectContaining({ code: 'CV_NOT_MANAGER' }),
    );
  });

  test('a manager answers', () => {
    const control = {} as NonNullable<Parameters<typeof controlOf>[0]>['control'];
    expect(controlOf({ control })).toBe(control);
  });
});
