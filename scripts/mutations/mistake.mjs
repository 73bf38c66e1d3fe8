/** A condition that never holds, in a form that the compiler does not see through. */
export const OFF = 'if (false as boolean) {';

/** A mistake that costs time, progress or memory; patches are [file, search, replace]. */
export const mistake = (name, ...patches) => ({ name, isSafety: false, patches });

/** A mistake that can lose or contradict something that was promised. */
export const danger = (name, ...patches) => ({ name, isSafety: true, patches });
