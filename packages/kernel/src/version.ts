/** Version of this build: that of every package; a test compares them. */
export const VERSION: string = '0.1.0';
