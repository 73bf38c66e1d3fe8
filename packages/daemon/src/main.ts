import './first.js';

// Not a static import: of a bundle, those run before the statement above.
await import('./program.js');
