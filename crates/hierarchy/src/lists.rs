//! Many short lists in little memory.

/// For each unit, the positions of what is its own in some other list. Most have one or none, and thousands of small
/// allocations would weigh more than what they hold.
#[derive(Clone, Default)]
pub(crate) struct Lists {
    /// Where the list of each unit ends; it begins where the one before it ends.
    ends: Vec<u32>,
    positions: Vec<u32>,
}

impl Lists {
    /// Sorts positions 0, 1, 2, … into the lists of this many units, given whose each is; each list is ascending.
    pub(crate) fn new(units: usize, owners: impl Iterator<Item = Option<usize>> + Clone) -> Self {
        let mut ends = vec![0; units];
        for owner in owners.clone().flatten() {
            ends[owner] += 1;
        }
        let mut total = 0;
        for length in &mut ends {
            // Until it is filled, a list ends where it begins.
            total += std::mem::replace(length, total);
        }
        let mut positions = vec![0; total as usize];
        for (position, owner) in (0..).zip(owners) {
            if let Some(owner) = owner {
                positions[ends[owner] as usize] = position;
                ends[owner] += 1;
            }
        }
        Self { ends, positions }
    }

    pub(crate) fn of(&self, unit: usize) -> &[u32] {
        let start = unit.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.positions[start as usize..self.ends[unit] as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_unit_gets_its_own_positions_in_their_order() {
        let owners = [Some(3), Some(1), None, Some(3), Some(1), Some(3)];
        let lists = Lists::new(5, owners.into_iter());
        let found: Vec<&[u32]> = (0..5).map(|unit| lists.of(unit)).collect();
        assert_eq!(found, [&[][..], &[1, 4], &[], &[0, 3, 5], &[]]);
    }
}
