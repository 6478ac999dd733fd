"""What every image model promises, held against real ones on servers of this machine."""
