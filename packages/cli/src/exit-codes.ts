/** The command did what was asked; errors end with the codes of kernel's table. */
export const EXIT_OK = 0;
