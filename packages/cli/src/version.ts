/** Version of the command, the one of package.json; a test compares both. */
export const VERSION: string = '0.1.0';
