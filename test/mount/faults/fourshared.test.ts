import { matrixTests } from './tests.js';

matrixTests('4shared');
