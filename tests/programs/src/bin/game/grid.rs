//! The world of the game, and the search for a path in it.

use std::collections::{HashMap, VecDeque};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Cell {
    x: u8,
    y: u8,
}

impl Cell {
    pub fn neighbours(self) -> impl Iterator<Item = Self> {
        let (x, y) = (self.x, self.y);
        [(x.wrapping_add(1), y), (x.wrapping_sub(1), y), (x, y.wrapping_add(1)), (x, y.wrapping_sub(1))]
            .into_iter()
            .map(|(x, y)| Self { x, y })
    }
}

/// A square of cells, of which a quarter are walls.
pub struct Grid {
    size: u8,
    walls: Vec<bool>,
}

impl Grid {
    pub fn new(size: u8, rng: &mut fastrand::Rng) -> Self {
        let cells = usize::from(size) * usize::from(size);
        Self { size, walls: (0..cells).map(|_| rng.u8(..4) == 0).collect() }
    }

    pub fn is_free(&self, cell: Cell) -> bool {
        let at = usize::from(cell.y) * usize::from(self.size) + usize::from(cell.x);
        cell.x < self.size && cell.y < self.size && self.walls.get(at) == Some(&false)
    }

    pub fn free_cell(&self, rng: &mut fastrand::Rng) -> Cell {
        loop {
            let cell = Cell { x: rng.u8(..self.size), y: rng.u8(..self.size) };
            if self.is_free(cell) {
                return cell;
            }
        }
    }
}

/// A breadth-first search that can be interrupted after each cell.
pub struct Search {
    from: Cell,
    to: Cell,
    edge: VecDeque<Cell>,
    came_from: HashMap<Cell, Cell>,
}

pub enum Looked {
    GoesOn,
    Found(Vec<Cell>),
    Nowhere,
}

impl Search {
    pub fn new(from: Cell, to: Cell) -> Self {
        Self { from, to, edge: VecDeque::from([from]), came_from: HashMap::from([(from, from)]) }
    }

    pub fn look_at_next(&mut self, grid: &Grid) -> Looked {
        let Some(cell) = self.edge.pop_front() else { return Looked::Nowhere };
        if cell == self.to {
            return Looked::Found(self.path());
        }
        for next in cell.neighbours().filter(|next| grid.is_free(*next)) {
            self.came_from.entry(next).or_insert_with(|| {
                self.edge.push_back(next);
                cell
            });
        }
        Looked::GoesOn
    }

    fn path(&self) -> Vec<Cell> {
        let back = |cell: &Cell| self.came_from.get(cell).copied().filter(|_| *cell != self.from);
        let mut path: Vec<Cell> = std::iter::successors(Some(self.to), back).collect();
        path.pop(); // Where the unit stands.
        path.reverse();
        path
    }
}
