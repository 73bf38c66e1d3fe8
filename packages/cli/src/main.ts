import './first.js';

// Not a static import: of a bundle, those run before the statements above.
await import('./command.js');
